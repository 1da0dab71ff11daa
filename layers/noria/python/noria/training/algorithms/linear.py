"""Linear models and support vector machines. Defaults are scikit-learn's unless a line says why."""

from typing import Any

from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.svm import SVC, LinearSVC

from noria.records.training import Params
from noria.spec.section import Task

_KERNEL_CACHE_MB = 500


def logistic_regression(task: Task, params: Params, seed: int) -> Any:
    """Return a multinomial logistic regression.

    SAGA suits texts, and is the only solver of L1 shares; 0.01 is as far as its scores move.
    L-BFGS is the default: on few, collinear columns the others end elsewhere.
    """
    solver = "saga" if params.get("l1_ratio") else params.get("solver", "lbfgs")
    tolerance = 1e-2 if solver == "saga" else 1e-4
    settings = {"max_iter": 1000, "tol": tolerance, **params, "solver": solver}
    return LogisticRegression(**settings, random_state=seed)


def linear_svm(task: Task, params: Params, seed: int) -> Any:
    """Return a linear SVM; Noria calibrates its margins on held-out folds."""
    return LinearSVC(**params, random_state=seed)


def svm(task: Task, params: Params, seed: int) -> Any:
    """Return a kernel SVM; Noria calibrates its margins on held-out folds."""
    return SVC(**params, cache_size=_KERNEL_CACHE_MB, random_state=seed)


def linear_regression(task: Task, params: Params, seed: int) -> Any:
    """Return ordinary least squares."""
    return LinearRegression()


def ridge(task: Task, params: Params, seed: int) -> Any:
    """Return least squares with an L2 penalty."""
    return Ridge(**params, random_state=seed)
