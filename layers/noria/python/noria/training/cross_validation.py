"""Fit and score parameter sets on folds whose features are already computed."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noria.errors import TrainingFailedError
from noria.evaluation.metrics import Floats, measure
from noria.features.matrix import Matrix
from noria.spec.model import Task
from noria.training.algorithms import build


@dataclass(frozen=True)
class Fold:
    """Features and targets of one fold."""

    X_fit: Matrix  # shape (n_fit, width)
    y_fit: Any  # class numbers or values, shape (n_fit,)
    X_score: Matrix
    y_score: Any


@dataclass(frozen=True)
class Trial:
    """One parameter set and its score on each fold."""

    params: Mapping[str, Any]
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean score over the folds."""
        return float(np.mean(self.scores))


def cross_validate(
    algorithm: str,
    task: Task,
    parameters: Sequence[Mapping[str, Any]],
    folds: Sequence[Fold],
    *,
    metric: str,
    seed: int,
) -> list[Trial]:
    """Return one trial a parameter set, in the given order.

    Raises
    ------
    TrainingFailedError
        The estimator refused the data or the parameters.
    """
    trials = []
    for params in parameters:
        scores = []
        for fold in folds:
            model = fit(algorithm, task, params, (fold.X_fit, fold.y_fit), seed=seed)
            n_classes = int(max(fold.y_fit.max(), fold.y_score.max())) + 1
            shape = n_classes if task == "classification" else 1
            scores.append(measure(metric, fold.y_score, outputs(model, fold.X_score, shape)))
        trials.append(Trial(params, tuple(scores)))
    return trials


def fit(
    algorithm: str, task: Task, params: Mapping[str, Any], data: tuple[Matrix, Any], *, seed: int
) -> Any:
    """Return an estimator fitted on (features, targets)."""
    model = build(algorithm, task, params, seed=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # convergence notes; the score tells
            model.fit(*data)
    except (ValueError, TypeError, FloatingPointError) as error:
        raise TrainingFailedError(
            f"{algorithm} with {dict(params)} cannot be fitted: {error}",
            algorithm=algorithm,
            params=dict(params),
        ) from error
    _sum_in_order(model)
    return model


def _sum_in_order(model: Any) -> None:
    """Predict on one thread: forests add their trees as threads finish, and sums would differ."""
    for part in (model, *getattr(model, "estimators_", ())):
        if hasattr(part, "n_jobs"):
            part.n_jobs = 1


def outputs(model: Any, X: Matrix, n_outputs: int) -> Floats:
    """Return probabilities by class number, or values, of shape (n_rows, n_outputs).

    A class that a fold's fit rows lack gets probability 0.
    """
    if not hasattr(model, "classes_"):
        return np.asarray(model.predict(X), dtype=np.float64)[:, None]
    shares = np.asarray(model.predict_proba(X), dtype=np.float64)
    whole = np.zeros((shares.shape[0], n_outputs))
    whole[:, np.asarray(model.classes_, dtype=int)] = shares
    return whole
