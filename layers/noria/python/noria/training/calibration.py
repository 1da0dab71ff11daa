"""Raw scores to calibrated probabilities, and probabilities to a decision.

Both are learned on out-of-fold scores: of rows that the scoring model did not train on.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from noria.evaluation.metrics import METRICS, Answers, Floats, measure
from noria.spec.model import DecisionSection

# Per row, on squares: of the slope's logarithm and of the priors' exponent; of what a class's
# shift has beside the priors' correction. Classes come and go: a shift learned freely on the few
# rows of a rare class costs it its recall later.
_PENALTY, _SHIFT_PENALTY = 1e-3, 1e-1
_CORRECTIONS = np.linspace(0.0, 1.0, 41)  # exponents of the priors; 0 changes nothing
_FLAT = 0.005  # differences that the rows of a validation cannot tell
_TUNED_FOR = "f1_macro"  # where the primary metric does not look at decisions


class Calibration(NamedTuple):
    """softmax(slope x score + shift): one slope, one shift a class."""

    slope: float
    shift: tuple[float, ...]

    def probabilities(self, scores: Floats) -> Floats:
        """Return probabilities of shape (n_rows, n_classes)."""
        return np.asarray(softmax(self.slope * scores + np.array(self.shift), axis=1))


def no_calibration(n_classes: int) -> Calibration:
    """Return the calibration that leaves scores as they are."""
    return Calibration(1.0, (0.0,) * n_classes)


def fit_calibration(scores: Floats, truth: Any) -> Calibration:
    """Return the calibration with the least log-loss.

    Parameters
    ----------
    scores : array of shape (n_rows, n_classes)
        Out-of-fold raw scores.
    truth : array of shape (n_rows,)
        Class numbers.

    Notes
    -----
    Platt's sigmoid [1]_, in its form for any number of classes with one temperature and a bias a
    class [2]_. The bias is a multiple of the logarithm of the class's share, which undoes balanced
    training, plus a little of its own. Penalties keep all finite where scores separate the classes
    perfectly.

    References
    ----------
    .. [1] Platt, "Probabilistic outputs for support vector machines", 1999.
    .. [2] Guo et al., "On calibration of modern neural networks", 2017, section 4.2.
    """
    n_rows, n_classes = scores.shape
    hits = np.zeros_like(scores)
    hits[np.arange(n_rows), truth] = 1.0

    priors = _log_priors(truth, n_classes)
    penalties = np.array([_PENALTY, _PENALTY, *[_SHIFT_PENALTY] * n_classes])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, shift = np.exp(parameters[0]), parameters[1] * priors + parameters[2:]
        logs = log_softmax(slope * scores + shift, axis=1)
        errors = (np.exp(logs) - hits) / n_rows
        by_class = errors.sum(axis=0)
        gradient = np.array([slope * np.sum(errors * scores), by_class @ priors, *by_class])
        value = -np.sum(logs * hits) / n_rows + penalties @ parameters**2
        return float(value), gradient + 2.0 * penalties * parameters

    found = minimize(loss, np.zeros(2 + n_classes), jac=True, method="L-BFGS-B").x
    return Calibration(float(np.exp(found[0])), tuple((found[1] * priors + found[2:]).tolist()))


def decision_weights(
    decision: DecisionSection, metric: str, truth: Any, probabilities: Floats
) -> tuple[float, ...]:
    """Return a weight per class; the decision is the largest weight x probability.

    Notes
    -----
    "tuned" weights classes by prior^-t and searches the one number t, so that a rare class
    cannot be tuned to its few rows: t = 0 is the most probable class, t = 1 ignores how frequent
    classes are. The optimum is flat: the smallest correction wins whose score is less than
    `_FLAT` below the best.
    """
    n_classes: int = probabilities.shape[1]
    if decision.rule == "most_probable":
        return (1.0,) * n_classes
    if decision.threshold is not None:
        # The next number up: at the threshold itself the positive class wins.
        return (decision.threshold, float(np.nextafter(1.0 - decision.threshold, 1.0)))
    priors: Floats = np.exp(_log_priors(truth, n_classes))
    tuned_for = metric if METRICS[metric].decides else _TUNED_FOR

    def score(t: float) -> float:
        return measure(tuned_for, truth, decided(probabilities, priors**-t))

    # Metrics that look at decisions are all better when greater.
    scores = np.array([score(t) for t in _CORRECTIONS.tolist()])
    smallest = _CORRECTIONS[np.argmax(scores > scores.max() - _FLAT)]
    weights: Floats = priors**-smallest
    return tuple(float(weight) for weight in weights / weights.max())


def decided(probabilities: Floats, weights: Any) -> Answers:
    """Return probabilities with the classes that weights decide for."""
    return Answers(probabilities, (probabilities * np.asarray(weights)).argmax(axis=1))


def _log_priors(truth: Any, n_classes: int) -> Floats:
    """Return the logarithms of the classes' shares, each class counted once more (Laplace)."""
    counts = np.bincount(truth, minlength=n_classes) + 1.0
    logs: Floats = np.log(counts / counts.sum())
    return logs
