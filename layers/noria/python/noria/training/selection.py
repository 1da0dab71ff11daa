"""Which feature columns a candidate sees; learned on the rows it is fitted on, like all else."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import DMatrix, XGBClassifier, XGBRegressor

from noria.evaluation.metrics import Answers, measure
from noria.features.matrix import Matrix, take_columns
from noria.features.view import Origin
from noria.spec.model import SelectionStep
from noria.spec.section import Task

_FOLDS, _SEED = 3, 42
_LEAF = 20  # rows: a column that sorts fewer than this apart carries noise

Choose = Callable[[NDArray[np.float64], Any, Task, float], NDArray[np.bool_]]


def kept_columns(
    steps: Sequence[SelectionStep],
    data: tuple[Matrix, Any],
    origins: Sequence[Origin],
    task: Task,
) -> list[int]:
    """Return the columns that survive every step, ascending.

    Parameters
    ----------
    steps : sequence of SelectionStep
        Applied in order, each to what the one before it left.
    data : (features of shape (n_rows, width), targets of shape (n_rows,))
        The rows that the candidate will be fitted on.
    origins : sequence of Origin, one per column
        Terms of a text are not judged one by one: a vocabulary has its own limits.
    task : "classification" or "regression"

    Notes
    -----
    A step that would leave no column keeps the first one instead.
    """
    X, y = data
    terms = np.array([i for i, origin in enumerate(origins) if origin.is_term], dtype=np.int64)
    judged = np.array([i for i, origin in enumerate(origins) if not origin.is_term], dtype=np.int64)
    for step in steps:
        if step.kind == "features":
            terms, judged = (
                part[[origins[i].feature in step.names for i in part]] for part in (terms, judged)
            )
            continue
        if len(judged) == 0:
            break
        dense = take_columns(X, judged, sparse=False)
        keep = _CHOICES[step.kind](dense, y, task, step.threshold or 0.0)
        judged = judged[keep] if keep.any() else judged[:1]
    return sorted([*terms.tolist(), *judged.tolist()])


def _varying(X: NDArray[np.float64], y: Any, task: Task, _: float) -> NDArray[np.bool_]:
    known = np.where(np.isnan(X), np.nanmin(X, axis=0, initial=np.inf), X)
    varies: NDArray[np.bool_] = (known != known[0]).any(axis=0) | (
        np.isnan(X).any(axis=0) & ~np.isnan(X).all(axis=0)
    )
    return varies


def _uncorrelated(
    X: NDArray[np.float64], y: Any, task: Task, threshold: float
) -> NDArray[np.bool_]:
    """Of two columns whose |Pearson r| is above the threshold, the earlier stays."""
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    centred = filled - filled.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where(norms > 0.0, norms, 1.0)
    r = np.abs(unit.T @ unit)
    keep = np.ones(X.shape[1], dtype=bool)
    for column in range(1, X.shape[1]):
        keep[column] = not (r[column, :column][keep[:column]] > threshold).any()
    return keep


def _telling(X: NDArray[np.float64], y: Any, task: Task, threshold: float) -> NDArray[np.bool_]:
    """Keep columns that alone reach a cross-validated score: weighted F1, or R2.

    A small tree judges each column: over a single column, a forest learns the same steps.
    """
    return scores_alone(X, y, task) >= threshold


def scores_alone(X: NDArray[np.float64], y: Any, task: Task) -> NDArray[np.float64]:
    """Return what each column alone scores in cross-validation: weighted F1, or R2.

    Notes
    -----
    Equal to scikit-learn's `cross_val_predict`, which checks and copies everything again for
    every column and takes three times as long.
    """
    is_class = task == "classification"
    made = DecisionTreeClassifier if is_class else DecisionTreeRegressor
    folds = (StratifiedKFold if is_class else KFold)(_FOLDS, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes with fewer rows than folds
        splits = [*folds.split(X, y)]
    numbers = X.astype(np.float32)
    is_checked = ~np.isfinite(numbers).all(axis=0)  # the trees look for gaps, and refuse infinity
    n_classes = int(y.max()) + 1 if is_class else 0
    metric, nothing = "f1_weighted" if is_class else "r2", np.zeros((len(y), max(n_classes, 1)))
    scores = np.empty(X.shape[1])
    predicted = np.empty(len(y), dtype=y.dtype if is_class else np.float64)
    for place in range(X.shape[1]):
        column = np.ascontiguousarray(numbers[:, [place]])
        checks = bool(is_checked[place])
        for fit, held in splits:
            tree = made(min_samples_leaf=_LEAF, random_state=_SEED)
            with config_context(skip_parameter_validation=True):
                tree.fit(column[fit], y[fit], check_input=checks)
            predicted[held] = tree.predict(column[held], check_input=checks)
        answers = Answers(nothing, predicted) if is_class else Answers(predicted[:, None], None)
        scores[place] = measure(metric, y, answers)
    return scores


def _important(X: NDArray[np.float64], y: Any, task: Task, threshold: float) -> NDArray[np.bool_]:
    """Keep columns whose mean |SHAP| of default XGBoost is at or above a quantile of all."""
    if task == "classification":  # a fold may lack a class
        classes, y = np.unique(y, return_inverse=True)
        if len(classes) == 1:
            return np.ones(X.shape[1], dtype=bool)
    model = (XGBClassifier if task == "classification" else XGBRegressor)(
        random_state=_SEED, n_jobs=1
    ).fit(X, y)
    shares = model.get_booster().predict(DMatrix(X), pred_contribs=True)
    shares = np.abs(shares[..., :-1]).reshape(-1, X.shape[1]).mean(axis=0)
    keep: NDArray[np.bool_] = shares >= np.quantile(shares, threshold)
    return keep


_CHOICES: dict[str, Choose] = {
    "constant": _varying,
    "correlated": _uncorrelated,
    "single_feature": _telling,
    "shap": _important,
}
