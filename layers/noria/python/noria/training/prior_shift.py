"""Whether correcting a model's probabilities for other class shares makes them truer."""

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np

from noria.evaluation.metrics import Floats
from noria.evaluation.prior_shift import estimated_shares
from noria.records.bundle import Decision
from noria.records.training import PriorShiftCheck
from noria.spec.model import DecisionSection
from noria.training.calibration import log_priors

_ODDS = (1 / 3, 3.0)  # a class becomes so much rarer or more frequent than it was
_MOST_ROWS = 20_000  # that are looked at, evenly in their order
_LEAST = 1e-12  # probability whose logarithm counts


def corrected_decision(
    section: DecisionSection, decision: Decision, truth: Any, probabilities: Floats
) -> tuple[Decision, PriorShiftCheck | None]:
    """Return a decision that corrects batches, if the spec asks for it and that helps; and why.

    Takes the rows of `check_correction`. The check is None where the spec asks for nothing.
    """
    if section.prior_shift == "keep":
        return decision, None
    known: Floats = np.exp(log_priors(truth, probabilities.shape[1]))
    check = check_correction(truth, probabilities, known)
    if not check.helps:
        return decision, check
    return decision._replace(known_shares=tuple(known.tolist())), check


def check_correction(truth: Any, probabilities: Floats, known: Floats) -> PriorShiftCheck:
    """Return how true probabilities are under other class shares, as they are and corrected.

    Parameters
    ----------
    truth : array of shape (n,)
        Class numbers.
    probabilities : array of shape (n, n_classes)
        Calibrated, of models that were not fitted on the rows.
    known : array of shape (n_classes,)
        The class shares that they are calibrated for.

    Notes
    -----
    The rows count as if each class in turn had three times its odds, and a third of them; and
    once as they are. The shares are estimated without labels, and corrected where that is
    evident, as a batch is. Log-losses are means over all of these.
    """
    step = max(1, ceil(len(truth) / _MOST_ROWS))
    truth, probabilities = truth[::step], probabilities[::step]
    places = np.arange(len(truth)), truth
    kept, corrected = list[float](), list[float]()
    for weights in _weights(truth, len(known)):
        found = estimated_shares(probabilities, known, weights=weights)
        after = found.corrected(probabilities) if found.is_evident else probabilities
        for losses, values in ((kept, probabilities), (corrected, after)):
            logs = np.log(np.maximum(values[places], _LEAST))
            losses.append(float(-(weights @ logs) / weights.sum()))
    return PriorShiftCheck(len(truth), float(np.mean(kept)), float(np.mean(corrected)))


def _weights(truth: Any, n_classes: int) -> Iterator[Floats]:
    yield np.ones(len(truth))
    for number in range(n_classes):
        for odds in _ODDS:
            yield np.where(truth == number, odds, 1.0)
