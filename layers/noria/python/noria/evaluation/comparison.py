"""Two models on the same rows: the paired bootstrap of their difference."""

from typing import Any

import numpy as np

from noria.evaluation.metrics import Answers, improvement, measure
from noria.records.evaluation import Comparison


def compare(
    metric: str,
    truth: Any,
    answers: tuple[Answers, Answers],
    *,
    n_replicates: int,
    confidence: float,
    seed: int,
) -> Comparison:
    """Return the improvement of a challenger over another model with its interval.

    Parameters
    ----------
    metric : str
        Key of `noria.evaluation.metrics.METRICS`.
    truth : array of shape (n_rows,)
    answers : (challenger, other)
    n_replicates : int
        Bootstrap resamples of the rows, the same for both models.
    confidence : float in (0, 1)
    seed : int

    Notes
    -----
    Percentile interval of the paired difference: rows are drawn with replacement and both models
    are scored on the same draw, so what they share cancels [1]_.

    References
    ----------
    .. [1] Efron, Tibshirani, An Introduction to the Bootstrap, 1993, sections 13.3 and 16.4.
    """
    challenger, other = answers
    n_rows = len(truth)
    rng = np.random.default_rng(seed)
    differences = np.empty(n_replicates)
    for replicate in range(n_replicates):
        drawn = rng.integers(0, n_rows, n_rows)
        differences[replicate] = improvement(
            metric,
            measure(metric, truth[drawn], challenger.at(drawn)),
            measure(metric, truth[drawn], other.at(drawn)),
        )
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(differences, [tail, 1.0 - tail])
    on_all = measure(metric, truth, challenger), measure(metric, truth, other)
    return Comparison(
        metric=metric,
        challenger=on_all[0],
        other=on_all[1],
        improvement=improvement(metric, *on_all),
        low=float(low),
        high=float(high),
        confidence=confidence,
        n_rows=n_rows,
    )
