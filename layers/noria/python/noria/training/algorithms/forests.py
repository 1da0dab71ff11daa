"""Single trees and averages of randomised trees."""

from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from noria.records.training import Params
from noria.spec.section import Task


def decision_tree(task: Task, params: Params, seed: int) -> Any:
    """Return one tree for the task."""
    kind = DecisionTreeClassifier if task == "classification" else DecisionTreeRegressor
    return kind(**params, random_state=seed)


def random_forest(task: Task, params: Params, seed: int) -> Any:
    """Return a random forest for the task."""
    kind = RandomForestClassifier if task == "classification" else RandomForestRegressor
    return kind(**params, random_state=seed, n_jobs=1)


def extra_trees(task: Task, params: Params, seed: int) -> Any:
    """Return extremely randomised trees for the task."""
    kind = ExtraTreesClassifier if task == "classification" else ExtraTreesRegressor
    return kind(**params, random_state=seed, n_jobs=1)
