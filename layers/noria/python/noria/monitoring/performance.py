"""How good the model is now: measured on labels, or estimated without them. With intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import NormalDist
from typing import Any, cast

import numpy as np

from noria.evaluation.metrics import (
    METRICS,
    TABLE_METRICS,
    Answers,
    calibration_by_chance,
    measure,
)
from noria.evaluation.prior_shift import EstimatedShares
from noria.monitoring.error_model import ErrorModel
from noria.monitoring.profiles import Floats, LevelProfile, NumberProfile, TermProfile
from noria.monitoring.reference import Reference
from noria.monitoring.sources import OUTPUTS, POSITIVE, PREDICTION
from noria.monitoring.window import WindowProfile
from noria.records.performance import Performance
from noria.spec.catalog import METRICS as RANGES

_REPLICATES = 500
_SEED = 20_261  # any constant keeps checks repeatable
_CONFIDENCE = 0.95
_ALARMS = 1.0 - _CONFIDENCE
_NORMAL = NormalDist()
_BOUNDED_ERRORS = ("brier", "calibration_error")  # in [0, 1], of two classes


@dataclass(frozen=True)
class ShiftedAnswers:
    """The answers of a window under class shares that differ from training."""

    shares: EstimatedShares
    expected: Floats  # sum of corrected p(true class) by (class, decided class), of all answers

    @classmethod
    def of(
        cls, shares: EstimatedShares, outputs: Floats, decided: Any, *, n_rows: int
    ) -> "ShiftedAnswers":
        """Return the answers of a window of `n_rows`, given all or the newest of them.

        Parameters
        ----------
        outputs : array of shape (n, n_classes)
            Probabilities as they were answered; n is at least 1.
        decided : array of shape (n,)
            Numbers of the classes decided for.
        """
        hits = np.eye(outputs.shape[1])[decided]
        expected = shares.corrected(outputs).T @ hits * (n_rows / len(outputs))
        return cls(shares, expected)


def drop(found: Performance) -> tuple[float, float]:
    """Return how much worse than the reference: as it seems, and at least, by the interval.

    A score drops by the difference, and so does an error that lies in [0, 1]; an error with a
    unit by its relative growth.
    """
    metric, sign = METRICS[found.metric], 1.0 if METRICS[found.metric].greater_is_better else -1.0
    nearest = found.high if metric.greater_is_better else found.low
    scale = 1.0
    if not metric.greater_is_better and found.metric not in _BOUNDED_ERRORS:
        scale = abs(found.reference) or 1.0
    return (
        sign * (found.reference - found.value) / scale,
        sign * (found.reference - nearest) / scale,
    )


def largest_drop(found: Performance) -> float:
    """Return how much worse than the reference it may be, by the interval."""
    metric = METRICS[found.metric]
    farthest = found.low if metric.greater_is_better else found.high
    return drop(replace(found, value=farthest))[0]


def judged(found: Performance, max_drop: float, *, alarms: float = _ALARMS) -> Performance:
    """Return a performance with its verdict: worse by more than allowed, and surely worse.

    Parameters
    ----------
    alarms : float
        Share of checks that may say so by chance, of all metrics together: 0.05 as the interval
        shown, less where one looks every hour.

    Notes
    -----
    The reference is measured on rows too. Its half interval is taken as the one of the value by
    the ratio of their rows, and both add up as independent errors do. Between shares of chance
    half intervals are in the ratio of the normal distribution's quantiles.
    """
    seems, at_least = drop(found)
    half = seems - at_least
    if found.n_reference:
        half *= sqrt(1.0 + found.n_rows / found.n_reference)
    half *= _widened(found, alarms)
    return replace(found, is_degraded=seems > max_drop and seems > half)


def bounded(
    found: Performance, least: float | None, most: float | None, *, alarms: float = _ALARMS
) -> Performance:
    """Return a performance as degraded where it kept an absolute bound once and surely does not.

    Parameters
    ----------
    least, most : float or None
        Inclusive. A bound that the model never kept says nothing of a change.
    alarms : float
        As `judged` takes it.
    """
    ratio = _widened(found, alarms)
    if found.n_reference:
        ratio *= sqrt(1.0 + found.n_rows / found.n_reference)
    high = found.value + ratio * (found.high - found.value)
    low = found.value - ratio * (found.value - found.low)
    for bound, is_broken in (
        (least, least is not None and high < least <= found.reference),
        (most, most is not None and low > most >= found.reference),
    ):
        if is_broken:
            return replace(found, is_degraded=True, broken_bound=bound)
    return found


def _widened(found: Performance, alarms: float) -> float:
    """Return how many times as wide the interval is under another share of chance."""
    outside = (1.0 - found.confidence) / 2.0
    return _NORMAL.inv_cdf(1.0 - outside * alarms / _ALARMS) / _NORMAL.inv_cdf(1.0 - outside)


def realised(
    metric: str,
    reference: Reference,
    answers: Answers,
    truth: Any,
    *,
    n_judged: int = 1,
    replicates: int = _REPLICATES,
) -> Performance:
    """Return a metric of labelled answers with its bootstrap interval, beside the test rows'.

    Parameters
    ----------
    answers : Answers
        Of labelled rows only: an unlabelled row is neither right nor wrong.
    truth : array of shape (n,)
        Class numbers or values.
    n_judged : int
        How many metrics are judged together: intervals are Bonferroni's.

    Notes
    -----
    A calibration error is above zero by chance alone. Its value and interval are given without
    what a perfectly calibrated model would have on as many rows in 95 of 100 samples.
    """
    rng, n = np.random.default_rng(_SEED), len(truth)
    draws = [
        measure(metric, truth[rows], answers.at(rows))
        for rows in (rng.integers(0, n, n) for _ in range(replicates))
    ]
    confidence = 1.0 - (1.0 - _CONFIDENCE) / n_judged
    edge = (1.0 - confidence) / 2.0
    low, high = np.quantile(draws, [edge, 1.0 - edge]).tolist()
    value = measure(metric, truth, answers)
    if metric == "calibration_error":
        chance = calibration_by_chance(answers)
        low, value, high = (max(part - chance, 0.0) for part in (low, value, high))
    return Performance(
        metric, value, low, high, reference.tested[metric], n,
        is_estimated=False, confidence=confidence, n_reference=reference.n_tested,
    )  # fmt: skip


def outside_columns(window: WindowProfile, reference: Reference, bound: float) -> list[str]:
    """Return the input columns of which more than a share of the values lie outside training.

    Outside are levels that training did not have, and numbers beyond its smallest or greatest.
    """
    found = []
    for name, now in window.columns.items():
        then = reference.profile.columns[name]
        if name in OUTPUTS or isinstance(now, TermProfile) or not now.n or not then.n:
            continue
        if isinstance(now, LevelProfile):
            share = now.counts[-1] / now.n - then.counts[-1] / then.n
        else:
            share = _share_beyond(now, cast(NumberProfile, then))
        if share > bound:
            found.append(name)
    return found


def _share_beyond(now: NumberProfile, then: NumberProfile) -> float:
    """Return the share of numbers outside the range of others.

    Exact while the values are kept. Else of each outer bin, where something lies beyond, what is
    more than usual: the bin's inner part is in the range. 0 for profiles that know no range.
    """
    if then.least is None or then.most is None or now.least is None or now.most is None:
        return 0.0
    if now.values is not None:
        return float(np.mean((now.values < then.least) | (now.values > then.most)))
    ends = [0] * (now.least < then.least) + [-1] * (now.most > then.most)
    more = now.counts[ends] / now.n - then.counts[ends] / then.n
    return float(np.maximum(more, 0.0).sum())


def estimated(
    metric: str,
    reference: Reference,
    window: WindowProfile,
    shifted: ShiftedAnswers | None = None,
) -> Performance | None:
    """Return what a metric would be on a window's rows if they had labels; None if it cannot be.

    Parameters
    ----------
    shifted : ShiftedAnswers
        The answers with probabilities corrected for other class shares, where they are.

    Notes
    -----
    Classification trusts calibrated probabilities [1]_: the probabilities of the rows decided for
    a class say how many of them are right, and where the others belong. ROC AUC comes from the
    probabilities' bins. Regression takes the error that out-of-fold predictions of the same size
    had. What the method gets wrong on the training rows, out of fold, is taken off; the interval
    holds the sampling of labels in the window and in the training rows. Covariate drift is seen;
    a changed relation of inputs and target is not: that needs labels.

    References
    ----------
    .. [1] Guillory et al., "Predicting with confidence on unseen distributions", ICCV (2021);
       Białek et al., "Estimating model performance under covariate shift without labels" (2024).
    """
    sample = _sampler(metric, reference)
    if sample is None or window.n_rows == 0 or metric not in reference.scores:
        return None
    rng = np.random.default_rng(_SEED)
    now, then = sample(window, rng, shifted), sample(reference.out_of_fold, rng, None)
    bias = reference.scores[metric] - float(np.mean(then))
    value = float(np.mean(now)) + bias
    spread = now + bias + (then - np.mean(then))
    edge = (1.0 - _CONFIDENCE) / 2.0
    ends = np.quantile(spread, [edge, 1.0 - edge])
    # Taking off the method's own error may leave the metric's range.
    entry = RANGES[metric]
    value, low, high = np.clip([value, *ends], entry.low, entry.high).tolist()
    return Performance(
        metric, value, low, high, reference.scores[metric], window.n_rows, is_estimated=True
    )


Sampler = Callable[[WindowProfile, np.random.Generator, ShiftedAnswers | None], Floats]


def _sampler(metric: str, reference: Reference) -> Sampler | None:
    if reference.errors is not None:
        draw = _ERRORS.get(metric)
        errors = reference.errors
        return draw and (lambda window, rng, _: draw(errors, window, rng))
    if metric == "roc_auc" and len(reference.classes) == 2:
        return _ranking
    if metric in TABLE_METRICS:
        return lambda window, rng, shifted: _decisions(
            metric, window.expected if shifted is None else shifted.expected, rng
        )
    return None


def _decisions(metric: str, expected: Floats, rng: np.random.Generator) -> Floats:
    """Draw confusion tables as the probabilities say, and measure each."""
    n_decided = np.rint(expected.sum(axis=0)).astype(int)
    shares = expected / np.maximum(expected.sum(axis=0), 1e-12)
    drawn = [
        rng.multinomial(n, _normalised(shares[:, decided]), size=_REPLICATES)
        for decided, n in enumerate(n_decided)
    ]
    tables = np.stack(drawn, axis=2).astype(np.float64)  # (replicate, true, decided)
    return np.array([TABLE_METRICS[metric](table) for table in tables])


def _ranking(
    window: WindowProfile, rng: np.random.Generator, shifted: ShiftedAnswers | None
) -> Floats:
    """Draw the positives of each bin of probability; return the area under the curve of each."""
    profile = _numbers(window, POSITIVE)
    middles = np.concatenate([[0.0], profile.edges]) + 0.5 / (len(profile.edges) + 1)
    if shifted is not None:
        middles = shifted.shares.corrected(np.column_stack([1.0 - middles, middles]))[:, 1]
    hits = rng.binomial(profile.counts, middles, size=(_REPLICATES, len(middles)))
    others = profile.counts - hits
    below = np.cumsum(others, axis=1) - others / 2.0  # ties count half
    pairs = hits.sum(axis=1) * others.sum(axis=1)
    return np.where(pairs > 0, (hits * below).sum(axis=1) / np.maximum(pairs, 1), 0.5)


def _group_sizes(errors: ErrorModel, window: WindowProfile) -> Floats:
    """Return how many of a window's predictions fall into each group of the error model."""
    profile = _numbers(window, PREDICTION)
    values = profile.values
    weights = None
    if values is None:  # each bin goes where its lower edge goes
        values = np.concatenate([profile.edges[:1], profile.edges])
        weights = profile.counts.astype(np.float64)
    groups = np.searchsorted(errors.edges, values, side="right")
    return np.bincount(groups, weights=weights, minlength=len(errors.squared)).astype(np.float64)


def _mean_error(
    means: Floats, variances: Floats, sizes: Floats, rng: np.random.Generator
) -> Floats:
    """Draw the mean error of as many rows as each group has."""
    n = max(sizes.sum(), 1.0)
    error = np.sqrt(float(sizes @ variances)) / n
    return np.maximum(rng.normal(float(sizes @ means) / n, error, _REPLICATES), 0.0)


def _squared(errors: ErrorModel, window: WindowProfile, rng: np.random.Generator) -> Floats:
    sizes = _group_sizes(errors, window)
    return _mean_error(errors.squared, errors.squared_variance, sizes, rng)


def _absolute(errors: ErrorModel, window: WindowProfile, rng: np.random.Generator) -> Floats:
    sizes = _group_sizes(errors, window)
    return _mean_error(errors.absolute, errors.absolute_variance, sizes, rng)


def _explained(errors: ErrorModel, window: WindowProfile, rng: np.random.Generator) -> Floats:
    squared = _squared(errors, window, rng)
    predicted = _numbers(window, PREDICTION)
    return 1.0 - squared / np.maximum(predicted.std**2 + squared, 1e-12)


_ERRORS: dict[str, Callable[[ErrorModel, WindowProfile, np.random.Generator], Floats]] = {
    "mse": _squared,
    "rmse": lambda *parts: np.sqrt(_squared(*parts)),
    "mae": _absolute,
    "r2": _explained,
}


def _numbers(window: WindowProfile, name: str) -> NumberProfile:
    return cast(NumberProfile, window.columns[name])


def _normalised(shares: Floats) -> Sequence[float]:
    total = float(shares.sum())
    return (shares / total if total else np.full(len(shares), 1.0 / len(shares))).tolist()
