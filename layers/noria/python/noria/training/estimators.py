"""Fit an estimator and read its raw scores; the only place that knows estimators' differences."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from imblearn.over_sampling import SMOTE
from lightgbm import early_stopping
from sklearn.utils.class_weight import compute_sample_weight

from noria.bundle.exporters import SHARE_FLOOR
from noria.errors import TrainingFailedError
from noria.evaluation.metrics import Floats
from noria.features.matrix import Matrix
from noria.records.training import Params
from noria.spec.model import CandidateSection
from noria.spec.section import Task
from noria.training.algorithms import build

_WEIGHTED_BY_ROWS = ("gradient_boosting", "xgboost")  # they take no class_weight of their own
ABSENT_CLASS = -20.0  # raw score of a class that a fold's fit rows lack: probability near 0


class FittedModel(NamedTuple):
    """An estimator and the classes, by number, that it has seen; None for regression."""

    estimator: Any
    classes: Any
    n_rounds: int | None = None  # of boosting, where it was stopped early
    is_log: bool = False  # it predicts the target's logarithm


def fit(
    candidate: CandidateSection,
    task: Task,
    params: Params,
    data: tuple[Matrix, Any],
    *,
    seed: int,
    watched: tuple[Matrix, Any] | None = None,
    is_log: bool = False,
) -> FittedModel:
    """Return a candidate's estimator fitted on (features, targets).

    Parameters
    ----------
    watched : (features, targets) or None
        Rows on which `early_stopping_rounds` rounds without gain end boosting; without them all
        rounds are boosted.
    is_log : bool
        Whether the logarithm of a regression's target is fitted.

    Raises
    ------
    TrainingFailedError
        The estimator refused the data or the parameters, or had too little memory for them.
    """
    X, y = data
    if is_log:
        y, watched = np.log(y), watched and (watched[0], np.log(watched[1]))
    settings, weights, classes = dict(params), None, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # convergence notes; the score tells
            if task == "classification":
                if candidate.resample == "smote":
                    X, y = _oversampled(X, y, seed)
                classes, y = np.unique(y, return_inverse=True)
                if candidate.algorithm in _WEIGHTED_BY_ROWS:
                    class_weight = settings.pop("class_weight", None)
                    weights = class_weight and compute_sample_weight(class_weight, y)
            extra: dict[str, Any] = {} if weights is None else {"sample_weight": weights}
            patience = settings.pop("early_stopping_rounds", None)
            if patience and watched is not None:
                extra |= _stopping(candidate.algorithm, settings, patience, watched, classes)
            model = build(candidate.algorithm, task, settings, seed=seed)
            model.fit(X, y, **extra)
    except (ValueError, TypeError, FloatingPointError, MemoryError) as error:
        raise TrainingFailedError(
            f"{candidate.algorithm} with {dict(params)} cannot be fitted: {error}",
            algorithm=candidate.algorithm,
            params=dict(params),
        ) from error
    return FittedModel(model, classes, _rounds(model) if "eval_set" in extra else None, is_log)


def _stopping(
    algorithm: str,
    settings: dict[str, Any],
    patience: int,
    watched: tuple[Matrix, Any],
    classes: Any,
) -> dict[str, Any]:
    """Return what `fit` takes to stop early; rows of classes it does not know are not watched."""
    X, y = watched
    if classes is not None:
        known = np.isin(y, classes)
        X, y = X[known], np.searchsorted(classes, y[known])
    if algorithm == "xgboost":
        settings["early_stopping_rounds"] = patience
        return {"eval_set": [(X, y)], "verbose": False}
    return {"eval_set": [(X, y)], "callbacks": [early_stopping(patience, verbose=False)]}


def _rounds(model: Any) -> int:
    if hasattr(model, "best_iteration_"):
        return int(model.best_iteration_) or int(model.n_estimators)
    return int(model.best_iteration) + 1


def raw_scores(fitted: FittedModel, X: Matrix, n_classes: int) -> Floats:
    """Return what the bundle's scorer sums up, before the link of a classification.

    Returns
    -------
    array of shape (n_rows, n_classes) or, for regression, (n_rows, 1)
        Log-odds or margins by class number; a binary model's one score stands beside a 0. The
        logarithm of a forest's class shares. Values of the target for a regression.
    """
    model = fitted.estimator
    if fitted.classes is None:
        values: Floats = np.asarray(model.predict(X), dtype=np.float64)[:, None]
        with np.errstate(over="ignore"):  # infinite: whoever takes the scores refuses them
            return np.exp(values) if fitted.is_log else values
    name = type(model).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM's wrapper about feature names it made itself
        if name == "XGBClassifier":
            scores = model.predict(X, output_margin=True)
        elif name == "LGBMClassifier":
            scores = model.predict(X, raw_score=True)
        elif hasattr(model, "decision_function"):
            scores = model.decision_function(X)
        else:
            scores = np.log(np.maximum(model.predict_proba(X), SHARE_FLOOR))
    seen: Floats = np.asarray(scores, dtype=np.float64)
    if seen.ndim == 1:
        seen = np.column_stack([np.zeros(len(seen)), seen])
    if len(fitted.classes) == n_classes:
        return seen
    whole: Floats = np.full((len(seen), n_classes), ABSENT_CLASS)
    whole[:, fitted.classes] = seen
    return whole


def _oversampled(X: Matrix, y: Any, seed: int) -> tuple[Matrix, Any]:
    """Return the rows with synthetic neighbours of the rare classes (SMOTE, Chawla 2002)."""
    rarest = int(np.unique(y, return_counts=True)[1].min())
    if rarest < 2:
        return X, y
    balanced = SMOTE(random_state=seed, k_neighbors=min(5, rarest - 1)).fit_resample(X, y)
    return balanced[0], balanced[1]
