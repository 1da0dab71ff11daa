"""Means of unlike models, which err in unlike places."""

from typing import Any

from sklearn.ensemble import VotingRegressor

from noria.records.training import Params
from noria.spec.section import Task
from noria.training.algorithms.boosting import gradient_boosting
from noria.training.algorithms.forests import extra_trees


def tree_blend(task: Task, params: Params, seed: int) -> Any:
    """Return the mean of gradient boosting and extra trees.

    Parameters of the members carry their prefix: `boosting_…`, `extra_trees_…`.
    """
    members = {"boosting": gradient_boosting, "extra_trees": extra_trees}
    return VotingRegressor(
        [(name, build(task, _own(params, f"{name}_"), seed)) for name, build in members.items()]
    )


def _own(params: Params, prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value
        for name, value in params.items()
        if name.startswith(prefix)
    }
