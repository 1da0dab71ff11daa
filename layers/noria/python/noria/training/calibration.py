"""Raw scores to calibrated probabilities.

Learned on out-of-fold scores: of rows that the scoring model did not train on.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from noria.evaluation.metrics import Floats

# Per row, on squares: of the slope's logarithm and of the priors' exponent; of what a class's
# shift has beside the priors' correction. Classes come and go: a shift learned freely on the few
# rows of a rare class costs it its recall later.
_PENALTY, _SHIFT_PENALTY = 1e-3, 1e-1


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

    priors = log_priors(truth, n_classes)
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


def log_priors(truth: Any, n_classes: int) -> Floats:
    """Return the logarithms of the classes' shares, each class counted once more (Laplace)."""
    counts = np.bincount(truth, minlength=n_classes) + 1.0
    logs: Floats = np.log(counts / counts.sum())
    return logs
