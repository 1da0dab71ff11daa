"""The algorithms a spec may name: `build` returns an unfitted estimator for a task.

Names and parameters are in `noria.spec.algorithms`; a test keeps both sides equal. Every one has
an exporter in `noria.bundle.exporters`: a candidate that cannot be served is not offered.
"""

from collections.abc import Callable
from typing import Any

from noria.records.training import Params
from noria.spec.section import Task
from noria.training.algorithms import blend, boosting, forests, linear

Builder = Callable[[Task, Params, int], Any]

BUILDERS: dict[str, Builder] = {
    "logistic_regression": linear.logistic_regression,
    "linear_svm": linear.linear_svm,
    "svm": linear.svm,
    "linear_regression": linear.linear_regression,
    "ridge": linear.ridge,
    "decision_tree": forests.decision_tree,
    "random_forest": forests.random_forest,
    "extra_trees": forests.extra_trees,
    "gradient_boosting": boosting.gradient_boosting,
    "tree_blend": blend.tree_blend,
    "xgboost": boosting.xgboost,
    "lightgbm": boosting.lightgbm,
}


def build(algorithm: str, task: Task, params: Params, *, seed: int) -> Any:
    """Return the unfitted, seeded estimator of an algorithm.

    Parameters
    ----------
    algorithm : key of `BUILDERS`
    task : "classification" or "regression"
    params : mapping
        The algorithm's own parameters, checked by the spec.
    seed : int
        Makes a fit repeatable.
    """
    return BUILDERS[algorithm](task, params, seed)
