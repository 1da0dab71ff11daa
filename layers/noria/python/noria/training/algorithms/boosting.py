"""Boosted trees."""

from collections.abc import Mapping
from typing import Any

from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from xgboost import XGBClassifier, XGBRegressor

from noria.spec.model import Task


def gradient_boosting(task: Task, params: Mapping[str, Any], seed: int) -> Any:
    """Return scikit-learn's exact gradient boosting for the task."""
    if task == "classification":
        return GradientBoostingClassifier(**params, random_state=seed)
    return GradientBoostingRegressor(**params, random_state=seed)


def xgboost(task: Task, params: Mapping[str, Any], seed: int) -> Any:
    """Return XGBoost with histogram trees for the task."""
    kind = XGBClassifier if task == "classification" else XGBRegressor
    return kind(**params, tree_method="hist", random_state=seed, n_jobs=0)
