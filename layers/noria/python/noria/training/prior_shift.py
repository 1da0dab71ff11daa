"""Whether correcting a model's probabilities for other class shares makes them truer."""

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np

from noria.evaluation.metrics import Floats
from noria.evaluation.prior_shift import estimated_shares
from noria.records.bundle import Decision
from noria.records.training import LEAST_GAIN, PriorShiftCheck
from noria.spec.model import ProjectSpec

_ODDS = (1 / 3, 3.0)  # a class becomes so much rarer or more frequent than it was
_MOST_CLASSES = 5  # the commonest ones, that become so
_MOST_CELLS = 100_000  # rows times classes that are looked at, evenly in their order
_MOST_BATCHES = 20  # of the least rows
_LEAST = 1e-12  # probability whose logarithm counts


def corrected_decision(
    spec: ProjectSpec, decision: Decision, truth: Any, probabilities: Floats
) -> tuple[Decision, PriorShiftCheck | None]:
    """Return a decision that corrects batches, if the spec asks for it and that helps; and why.

    Takes the rows of `check_correction`. The check is None where the spec asks for nothing.

    Notes
    -----
    What the probabilities are calibrated for is their own mean: EM stays there on rows like these.
    The shares of the labels differ from it by what calibration leaves undone, and would make it
    see a shift where there is none.
    """
    if spec.decision.prior_shift == "keep":
        return decision, None
    known = probabilities.mean(axis=0)
    check = check_correction(truth, probabilities, known, least=spec.monitoring.min_rows)
    if not check.helps:
        return decision, check
    return decision._replace(known_shares=tuple(known.tolist())), check


def check_correction(
    truth: Any, probabilities: Floats, known: Floats, *, least: int
) -> PriorShiftCheck:
    """Return how true probabilities are under other class shares, as they are and corrected.

    Parameters
    ----------
    truth : array of shape (n,)
        Class numbers.
    probabilities : array of shape (n, n_classes)
        Calibrated, of models that were not fitted on the rows.
    known : array of shape (n_classes,)
        The class shares that they are calibrated for.
    least : int
        Rows of the smallest batch that is corrected.

    Notes
    -----
    The rows count as if each of the five commonest classes in turn had three times its odds, and
    a third of them; and once as they are. The shares are estimated without labels, and corrected
    where that is evident, as a batch is: of all rows together, and of batches of the least size.
    """
    n_classes = len(known)
    step = max(1, ceil(len(truth) * n_classes / _MOST_CELLS))
    truth, probabilities = truth[::step], probabilities[::step]
    batches = [np.arange(len(truth))]
    if len(truth) >= 2 * least:
        n_batches = len(truth) // least
        batches += [
            np.arange(k, len(truth), n_batches) for k in range(min(n_batches, _MOST_BATCHES))
        ]
    losses = [
        [_losses(truth[rows], probabilities[rows], known, weights[rows]) for rows in batches]
        for weights in _weights(truth, known)
    ]
    # All rows together count as much as the small batches together.
    means = np.array(
        [(np.array(whole) + np.mean(small or [whole], axis=0)) / 2 for whole, *small in losses]
    )
    unchanged = means[0]
    kept, corrected = means.mean(axis=0).tolist()
    spares = unchanged[1] <= (1.0 + LEAST_GAIN) * unchanged[0]  # some are evident by chance
    return PriorShiftCheck(len(truth), kept, corrected, bool(spares))


def _losses(
    truth: Any, probabilities: Floats, known: Floats, weights: Floats
) -> tuple[float, float]:
    """Return the log-loss of a batch's probabilities: as they are, and corrected if evident."""
    found = estimated_shares(probabilities, known, weights=weights)
    after = found.corrected(probabilities) if found.is_evident else probabilities
    places = np.arange(len(truth)), truth
    kept, corrected = (
        float(-(weights @ np.log(np.maximum(values[places], _LEAST))) / weights.sum())
        for values in (probabilities, after)
    )
    return kept, corrected


def _weights(truth: Any, known: Floats) -> Iterator[Floats]:
    """Yield how often each row counts; once as it is first."""
    yield np.ones(len(truth))
    for number in np.argsort(-known, kind="stable")[:_MOST_CLASSES].tolist():
        for odds in _ODDS:
            yield np.where(truth == number, odds, 1.0)
