"""Links: from raw scores to class probabilities or a predicted value."""

from collections.abc import Callable
from math import exp, inf, log

from noria.records.bundle import Model

_MOST = 709.0  # the greatest whole number whose exponential is a number


def _softmax(scores: list[float], model: Model) -> list[float]:
    """softmax(slope x score + shift); a single score stands against a 0."""
    calibration = model.calibration
    if len(scores) == 1:
        scores = [0.0, scores[0]]
    slope = calibration.slope
    calibrated = [
        slope * score + shift for score, shift in zip(scores, calibration.shift, strict=True)
    ]
    top = max(calibrated)
    powers = [exp(score - top) for score in calibrated]
    total = sum(powers)
    return [power / total for power in powers]


def _log_shares(scores: list[float], model: Model) -> list[float]:
    floor = model.floor
    return _softmax([log(max(share, floor)) for share in scores], model)


def _identity(scores: list[float], _: Model) -> list[float]:
    return scores


def _exp(scores: list[float], _: Model) -> list[float]:
    """A predicted logarithm; what is too large for a number is infinite, and then refused."""
    return [exp(score) if score < _MOST else inf for score in scores]


LINKS: dict[str, Callable[[list[float], Model], list[float]]] = {
    "softmax": _softmax,
    "log_shares": _log_shares,
    "identity": _identity,
    "exp": _exp,
}
