"""Prior shift: how frequent classes are among rows without labels, and probabilities for that."""

from dataclasses import dataclass
from math import log

import numpy as np

from noria.evaluation.metrics import Floats

_ROUNDS, _CLOSE = 1000, 1e-8
_LEAST = 1e-6  # share of a class: one that has died out stays a possibility
_DOUBT = 10.0  # rows' worth of doubt that shares differ from training


@dataclass(frozen=True)
class EstimatedShares:
    """How frequent classes seem to be, without labels."""

    known: Floats  # (n_classes,): shares in training; they sum to 1
    shares: Floats  # (n_classes,): among the rows
    gain: float  # logarithm of the likelihood ratio against "as in training"; at least 0
    n_rows: int

    @property
    def is_evident(self) -> bool:
        """Whether the rows say more for other shares than chance does: Schwarz's criterion [1]_.

        References
        ----------
        .. [1] Schwarz, "Estimating the dimension of a model", Annals of Statistics 6 (1978).
        """
        n_free = len(self.known) - 1
        return 2.0 * self.gain > n_free * log(max(self.n_rows, 2))

    def corrected(self, probabilities: Floats) -> Floats:
        """Return probabilities, of shape (n, n_classes), as they are under the estimated shares."""
        joint = probabilities * (self.shares / self.known)
        out: Floats = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
        return out


def estimated_shares(
    probabilities: Floats, known: Floats, *, weights: Floats | None = None
) -> EstimatedShares:
    """Return how frequent the classes seem to be among rows without labels.

    Parameters
    ----------
    probabilities : array of shape (n_rows, n_classes)
        Calibrated for class shares as in training; n_rows is at least 1.
    known : array of shape (n_classes,)
        The class shares in training.
    weights : array of shape (n_rows,)
        How often each row counts; once where absent.

    Notes
    -----
    The EM algorithm of Saerens et al. [1]_: shares make probabilities, whose means make shares,
    until nothing changes. It holds as long as only the shares have changed and rows of a class
    look as ever. A Dirichlet prior around the known shares, worth 10 rows, keeps a class that few
    rows say nothing of: without it a rare one vanishes from a batch of hundreds, and every row of
    it is answered wrongly with certainty. Thousands of rows outvote it.

    References
    ----------
    .. [1] Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori
       probabilities: a simple procedure", Neural Computation 14 (2002).

    Examples
    --------
    >>> rows = np.tile([[0.9, 0.1], [0.2, 0.8]], (50, 1))
    >>> found = estimated_shares(rows, np.array([0.5, 0.5]))
    >>> found.shares.round(2).tolist(), found.is_evident
    ([0.59, 0.41], False)
    """
    n_rows = len(probabilities)
    weights = np.ones(n_rows) if weights is None else weights * (n_rows / weights.sum())
    known = np.maximum(known, _LEAST) / np.maximum(known, _LEAST).sum()
    ratios, shares = probabilities / known, known
    for _ in range(_ROUNDS):
        joint = ratios * shares
        sums = (weights / joint.sum(axis=1)) @ joint
        after = np.maximum((sums + _DOUBT * known) / (n_rows + _DOUBT), _LEAST)
        after /= after.sum()
        is_close = float(np.abs(after - shares).max()) < _CLOSE
        shares = after
        if is_close:
            break
    gains = np.log((ratios * shares).sum(axis=1) / (ratios * known).sum(axis=1))
    return EstimatedShares(known, shares, max(float(weights @ gains), 0.0), n_rows)
