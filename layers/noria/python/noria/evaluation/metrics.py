"""Metrics by name, on class numbers with probabilities and decisions, or on real values.

Written for the bootstrap, which calls them thousands of times on small arrays; the tests hold
them equal to scikit-learn's.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_CALIBRATION_BINS = 10  # of equal width, as in Guo et al. 2017
_CHANCE_DRAWS, _SEED = 200, 20_263


class Answers(NamedTuple):
    """What a model says about rows."""

    outputs: Floats  # (n_rows, n_classes) probabilities, or (n_rows, 1) values
    decided: Any  # (n_rows,) class numbers; None for regression

    def at(self, rows: Any) -> "Answers":
        """Return the answers of some rows."""
        return Answers(self.outputs[rows], None if self.decided is None else self.decided[rows])


class Metric(NamedTuple):
    """One metric: `measure(truth, answers)`, its direction, and what it looks at."""

    measure: Callable[[Any, Answers], float]
    greater_is_better: bool
    decides: bool = False  # it looks at the decided classes
    needs_probabilities: bool = False  # raw scores will not do


def joined(parts: Sequence[Answers]) -> Answers:
    """Return the answers of several sets of rows, one after the other."""
    decided = None if parts[0].decided is None else np.concatenate([p.decided for p in parts])
    return Answers(np.concatenate([part.outputs for part in parts]), decided)


def measure(name: str, truth: Any, answers: Answers) -> float:
    """Return a metric by name.

    Parameters
    ----------
    name : key of `METRICS`
    truth : array of shape (n,)
        Class numbers (classification) or values (regression).
    answers : Answers
        Of the same rows.
    """
    return METRICS[name].measure(truth, answers)


def is_better(name: str, left: float, right: float) -> bool:
    """Return whether `left` is strictly better than `right` in a metric."""
    return left > right if METRICS[name].greater_is_better else left < right


def improvement(name: str, challenger: float, champion: float) -> float:
    """Return how much better the challenger is, in the metric's unit; negative when worse."""
    return challenger - champion if METRICS[name].greater_is_better else champion - challenger


def confusion(truth: Any, answers: Answers) -> Floats:
    """Return the counts of (true class, decided class), shape (n_classes, n_classes)."""
    n_classes = answers.outputs.shape[1]
    cells = np.bincount(truth * n_classes + answers.decided, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes).astype(np.float64)


def _accuracy(table: Floats) -> float:
    return float(np.trace(table) / table.sum())


def _averaged(kind: str, average: str) -> Callable[[Floats], float]:
    """Return precision, recall or F1 averaged over the classes that occur or are predicted."""

    def score(table: Floats) -> float:
        hits, actual, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
        below = {"precision": predicted, "recall": actual, "f1": (actual + predicted) / 2}[kind]
        share = np.divide(hits, below, out=np.zeros_like(hits), where=below > 0)
        weight = actual if average == "weighted" else (actual + predicted > 0).astype(np.float64)
        return float(share @ weight / weight.sum())

    return score


# Of counts by (true class, decided class), shape (n_classes, n_classes).
TABLE_METRICS: dict[str, Callable[[Floats], float]] = {
    "accuracy": _accuracy,
    **{
        f"{kind}_{average}": _averaged(kind, average)
        for kind in ("f1", "precision", "recall")
        for average in ("macro", "weighted")
    },
}


def _over_classes(
    score: Callable[[NDArray[np.bool_], Floats], float],
) -> Callable[[Any, Answers], float]:
    """Score the last class of two, or the mean over the classes that occur, each against the rest.

    A sample without both sides says nothing about ranking: it counts as chance, 0.5 or the share.
    """

    def scored(truth: Any, answers: Answers) -> float:
        outputs = answers.outputs
        n_classes = outputs.shape[1]
        if n_classes == 2:
            return score(truth == 1, outputs[:, 1])
        present = np.unique(truth)
        return float(np.mean([score(truth == c, outputs[:, c]) for c in present]))

    return scored


def _roc_auc(is_hit: NDArray[np.bool_], scores: Floats) -> float:
    """Return the area under the ROC curve: Mann-Whitney's U over all pairs, ties count half."""
    n_hits = int(is_hit.sum())
    n_others = len(is_hit) - n_hits
    if not n_hits or not n_others:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    u = ranks[inverse][is_hit].sum() - n_hits * (n_hits + 1) / 2.0
    return float(u / (n_hits * n_others))


def _pr_auc(is_hit: NDArray[np.bool_], scores: Floats) -> float:
    """Return average precision: precision at each score, weighted by the recall it adds."""
    n_hits = int(is_hit.sum())
    if not n_hits:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(is_hit[order])
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of equal scores
    recall = hits[last] / n_hits
    precision = hits[last] / (last + 1.0)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _log_loss(truth: Any, answers: Answers) -> float:
    chosen = answers.outputs[np.arange(len(truth)), truth]
    return float(-np.mean(np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0))))


def _brier(truth: Any, answers: Answers) -> float:
    """Return the mean squared distance of probabilities and truth; of two classes, one counts."""
    outputs = answers.outputs
    hits = np.zeros_like(outputs)
    hits[np.arange(len(truth)), truth] = 1.0
    squared = float(np.mean(np.sum((outputs - hits) ** 2, axis=1)))
    return squared / 2.0 if outputs.shape[1] == 2 else squared


def _calibration_error(truth: Any, answers: Answers) -> float:
    """Return the expected calibration error of the decided class's probability."""
    confidence = answers.outputs[np.arange(len(truth)), answers.decided]
    is_hit = answers.decided == truth
    bins = np.minimum((confidence * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - is_hit, minlength=_CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(truth))


def calibration_by_chance(answers: Answers) -> float:
    """Return what the calibration error of such answers stays below in 95 of 100 samples.

    Truth is drawn from the answers' own confidence: a model that is perfectly calibrated has this
    error by chance alone, the more the fewer rows there are.
    """
    confidence = answers.outputs[np.arange(len(answers.decided)), answers.decided]
    bins = np.minimum((confidence * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    rng = np.random.default_rng(_SEED)
    errors = []
    for _ in range(_CHANCE_DRAWS):
        gaps = confidence - (rng.random(len(confidence)) < confidence)
        errors.append(np.abs(np.bincount(bins, weights=gaps)).sum() / len(confidence))
    return float(np.quantile(errors, 0.95))


def _errors(truth: Any, answers: Answers) -> Floats:
    errors: Floats = answers.outputs[:, 0] - truth
    return errors


def _mse(truth: Any, answers: Answers) -> float:
    return float(np.mean(_errors(truth, answers) ** 2))


def _rmse(truth: Any, answers: Answers) -> float:
    return float(np.sqrt(_mse(truth, answers)))


def _mae(truth: Any, answers: Answers) -> float:
    return float(np.mean(np.abs(_errors(truth, answers))))


def _mape(truth: Any, answers: Answers) -> float:
    """Mean absolute error as a fraction of the true value (a fraction, not percent)."""
    floor = np.finfo(np.float64).eps
    return float(np.mean(np.abs(_errors(truth, answers)) / np.maximum(np.abs(truth), floor)))


def _r2(truth: Any, answers: Answers) -> float:
    spread = float(np.sum((truth - np.mean(truth)) ** 2))
    residual = float(np.sum(_errors(truth, answers) ** 2))
    if spread == 0.0:
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / spread


def _decisive(of_table: Callable[[Floats], float]) -> Metric:
    return Metric(
        lambda truth, answers: of_table(confusion(truth, answers)),
        greater_is_better=True,
        decides=True,
    )


METRICS: dict[str, Metric] = {
    **{name: _decisive(of_table) for name, of_table in TABLE_METRICS.items()},
    "roc_auc": Metric(_over_classes(_roc_auc), True, needs_probabilities=True),
    "pr_auc": Metric(_over_classes(_pr_auc), True, needs_probabilities=True),
    "log_loss": Metric(_log_loss, False, needs_probabilities=True),
    "brier": Metric(_brier, False, needs_probabilities=True),
    "calibration_error": Metric(_calibration_error, False, needs_probabilities=True),
    "rmse": Metric(_rmse, greater_is_better=False),
    "mse": Metric(_mse, greater_is_better=False),
    "mae": Metric(_mae, greater_is_better=False),
    "mape": Metric(_mape, greater_is_better=False),
    "r2": Metric(_r2, greater_is_better=True),
}
