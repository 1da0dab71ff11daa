"""Metrics by name, on integer labels with probabilities or on real values.

Written for the bootstrap, which calls them thousands of times on small arrays; the tests hold
them equal to scikit-learn's.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Metric(NamedTuple):
    """One metric: `measure(truth, outputs)` and which direction is better."""

    measure: Callable[[Any, Floats], float]
    greater_is_better: bool


def measure(name: str, truth: Any, outputs: Floats) -> float:
    """Return a metric by name.

    Parameters
    ----------
    name : key of `METRICS`
    truth : array of shape (n,)
        Class numbers (classification) or values (regression).
    outputs : array of shape (n, n_classes) or (n, 1)
        Probabilities by class number, or predicted values.
    """
    return METRICS[name].measure(truth, outputs)


def is_better(name: str, left: float, right: float) -> bool:
    """Return whether `left` is strictly better than `right` in a metric."""
    return left > right if METRICS[name].greater_is_better else left < right


def improvement(name: str, challenger: float, champion: float) -> float:
    """Return how much better the challenger is, in the metric's unit; negative when worse."""
    return challenger - champion if METRICS[name].greater_is_better else champion - challenger


def _confusion(truth: Any, outputs: Floats) -> Floats:
    n_classes = outputs.shape[1]
    cells = np.bincount(truth * n_classes + outputs.argmax(axis=1), minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes).astype(np.float64)


def _accuracy(truth: Any, outputs: Floats) -> float:
    return float(np.mean(outputs.argmax(axis=1) == truth))


def _averaged(kind: str, average: str) -> Callable[[Any, Floats], float]:
    """Return precision, recall or F1 averaged over the classes that occur or are predicted."""

    def score(truth: Any, outputs: Floats) -> float:
        table = _confusion(truth, outputs)
        hits, actual, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
        below = {"precision": predicted, "recall": actual, "f1": (actual + predicted) / 2}[kind]
        share = np.divide(hits, below, out=np.zeros_like(hits), where=below > 0)
        weight = actual if average == "weighted" else (actual + predicted > 0).astype(np.float64)
        return float(share @ weight / weight.sum())

    return score


def _log_loss(truth: Any, outputs: Floats) -> float:
    chosen = outputs[np.arange(len(truth)), truth]
    return float(-np.mean(np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0))))


def _errors(truth: Any, outputs: Floats) -> Floats:
    errors: Floats = outputs[:, 0] - truth
    return errors


def _rmse(truth: Any, outputs: Floats) -> float:
    return float(np.sqrt(np.mean(_errors(truth, outputs) ** 2)))


def _mae(truth: Any, outputs: Floats) -> float:
    return float(np.mean(np.abs(_errors(truth, outputs))))


def _mape(truth: Any, outputs: Floats) -> float:
    """Mean absolute error as a fraction of the true value (a fraction, not percent)."""
    floor = np.finfo(np.float64).eps
    return float(np.mean(np.abs(_errors(truth, outputs)) / np.maximum(np.abs(truth), floor)))


def _r2(truth: Any, outputs: Floats) -> float:
    spread = float(np.sum((truth - np.mean(truth)) ** 2))
    residual = float(np.sum(_errors(truth, outputs) ** 2))
    if spread == 0.0:
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / spread


METRICS: dict[str, Metric] = {
    "accuracy": Metric(_accuracy, greater_is_better=True),
    "f1_macro": Metric(_averaged("f1", "macro"), greater_is_better=True),
    "f1_weighted": Metric(_averaged("f1", "weighted"), greater_is_better=True),
    "precision_macro": Metric(_averaged("precision", "macro"), greater_is_better=True),
    "precision_weighted": Metric(_averaged("precision", "weighted"), greater_is_better=True),
    "recall_macro": Metric(_averaged("recall", "macro"), greater_is_better=True),
    "recall_weighted": Metric(_averaged("recall", "weighted"), greater_is_better=True),
    "log_loss": Metric(_log_loss, greater_is_better=False),
    "rmse": Metric(_rmse, greater_is_better=False),
    "mae": Metric(_mae, greater_is_better=False),
    "mape": Metric(_mape, greater_is_better=False),
    "r2": Metric(_r2, greater_is_better=True),
}
