"""Learn how probabilities become a decision, from rows that no scoring model was fitted on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from noria.evaluation.decisions import decide, tuned_metric
from noria.evaluation.metrics import TABLE_METRICS, Floats, confusion
from noria.records.bundle import Decision
from noria.spec.model import DecisionSection
from noria.training.calibration import log_priors

_CORRECTIONS = np.linspace(0.0, 1.0, 41)  # exponents of the priors; 0 changes nothing
_DRAWS = 200  # of the rows, for the standard error of a score
_SEED = 20_262  # any constant keeps decisions repeatable


def learned_decision(
    section: DecisionSection,
    metric: str,
    truth: Any,
    probabilities: Floats,
    *,
    classes: Sequence[str],
    newest: slice = slice(None),
) -> Decision:
    """Return the decision that a spec's rule learns from out-of-fold answers.

    Parameters
    ----------
    metric : str
        The project's primary metric.
    truth : array of shape (n,)
        Class numbers.
    probabilities : array of shape (n, n_classes)
        Calibrated, of models that were not fitted on the rows.
    classes : sequence of str
        Names by number.
    newest : slice
        The rows that say what happens next: the newest fold where rows have a time, else all.

    Notes
    -----
    "tuned" weights classes by prior^-t and searches the one number t, so that a rare class
    cannot be tuned to its few rows: t = 0 is the most probable class, t = 1 ignores how frequent
    classes are. The smallest correction wins whose score on the newest rows lies within one
    standard error of the best one's [1]_. "threshold" and "cost" learn nothing. "top_share"
    learns the threshold that as many of the newest rows pass; a batch is decided by rank instead.

    References
    ----------
    .. [1] Breiman et al., Classification and Regression Trees, 1984, section 3.4.3: the rule of
       one standard error.
    """
    n_classes: int = probabilities.shape[1]
    if section.rule == "cost":
        costs = [[section.costs.get(true, {}).get(said, 0.0) for said in classes]
                 for true in classes]  # fmt: skip
        return Decision((1.0,) * n_classes, tuple(map(tuple, costs)))
    if section.threshold is not None:
        return Decision(_weights_of(section.threshold))
    if section.share is not None:
        threshold = float(np.quantile(probabilities[newest, 1], 1.0 - section.share))
        return Decision(_weights_of(threshold), share=section.share)
    if section.rule == "most_probable":
        return most_probable(n_classes)
    priors: Floats = np.exp(log_priors(truth, n_classes))
    weights: Floats = priors ** -_smallest_correction(
        tuned_metric(metric), truth[newest], probabilities[newest], priors
    )
    return Decision(tuple(float(weight) for weight in weights / weights.max()))


def most_probable(n_classes: int) -> Decision:
    """Return the decision for the class with the greatest probability."""
    return Decision((1.0,) * n_classes)


def _weights_of(threshold: float) -> tuple[float, float]:
    """Return the weights of two classes under which the second wins from a probability on."""
    # The next number up: at the threshold itself the positive class wins.
    return threshold, float(np.nextafter(1.0 - threshold, 1.0))


def _smallest_correction(metric: str, truth: Any, probabilities: Floats, priors: Floats) -> float:
    score = TABLE_METRICS[metric]
    tables = [
        confusion(truth, decide(probabilities, Decision(tuple(priors**-t))))
        for t in _CORRECTIONS.tolist()
    ]
    # Metrics that look at decisions are all better when greater.
    scores = np.array([score(table) for table in tables])
    best = tables[int(scores.argmax())]
    rng, n_rows = np.random.default_rng(_SEED), int(best.sum())
    drawn = rng.multinomial(n_rows, (best / n_rows).ravel(), size=_DRAWS)
    shape = best.shape
    error = float(np.std([score(table.reshape(shape).astype(np.float64)) for table in drawn]))
    return float(_CORRECTIONS[np.argmax(scores >= scores.max() - error)])
