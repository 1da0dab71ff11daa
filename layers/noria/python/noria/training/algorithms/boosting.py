"""Boosted trees."""

from typing import Any

from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from xgboost import XGBClassifier, XGBRegressor

from noria.records.training import Params
from noria.spec.section import Task


def gradient_boosting(task: Task, params: Params, seed: int) -> Any:
    """Return scikit-learn's exact gradient boosting for the task."""
    if task == "classification":
        return GradientBoostingClassifier(**params, random_state=seed)
    return GradientBoostingRegressor(**params, random_state=seed)


def xgboost(task: Task, params: Params, seed: int) -> Any:
    """Return XGBoost with histogram trees for the task.

    One thread: candidates train side by side, and on rows that fit a function more threads wait
    for each other longer than they work.
    """
    kind = XGBClassifier if task == "classification" else XGBRegressor
    return kind(**params, tree_method="hist", random_state=seed, n_jobs=1)


def lightgbm(task: Task, params: Params, seed: int) -> Any:
    """Return LightGBM for the task, silent and repeatable, on one thread."""
    params = {name: value for name, value in params.items() if name != "early_stopping_rounds"}
    kind = LGBMClassifier if task == "classification" else LGBMRegressor
    fixed: dict[str, Any] = {
        "deterministic": True, "force_row_wise": True, "verbosity": -1,
        "random_state": seed, "n_jobs": 1,
    }  # fmt: skip
    if params.get("subsample", 1.0) < 1.0:
        fixed["subsample_freq"] = 1  # without it LightGBM ignores subsample
    return kind(**params, **fixed)
