"""How frequent the classes are among rows without labels, told from a model's probabilities."""

from math import isfinite

import numpy as np
from scipy.special import chdtrc

from noria.evaluation.metrics import Floats

_ROUNDS, _CLOSE = 1000, 1e-8
_LEAST = 1e-6  # share of a class: one that has died out stays a possibility


def estimated_shares(probabilities: Floats, known: Floats) -> tuple[Floats, float]:
    """Return (estimated class shares, p-value of "as in training").

    Parameters
    ----------
    probabilities : array of shape (n_rows, n_classes)
        Calibrated for class shares as in training; n_rows is at least 1.
    known : array of shape (n_classes,)
        The class shares in training.

    Notes
    -----
    The EM algorithm of Saerens et al. [1]_: shares make probabilities, whose means make shares,
    until nothing changes. Each step raises the likelihood. It holds as long as only the shares
    have changed and rows of a class look as ever. The p-value is of the likelihood ratio with
    n_classes - 1 degrees of freedom.

    References
    ----------
    .. [1] Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori
       probabilities: a simple procedure", Neural Computation 14 (2002).

    Examples
    --------
    >>> rows = np.tile([[0.9, 0.1], [0.2, 0.8]], (50, 1))
    >>> shares, p = estimated_shares(rows, np.array([0.5, 0.5]))
    >>> shares.round(2).tolist(), p > 0.05
    ([0.6, 0.4], True)
    """
    known = np.maximum(known, _LEAST) / np.maximum(known, _LEAST).sum()
    ratios, shares = probabilities / known, known
    for _ in range(_ROUNDS):
        joint = ratios * shares
        after = np.maximum((joint / joint.sum(axis=1, keepdims=True)).mean(axis=0), _LEAST)
        after /= after.sum()
        is_close = float(np.abs(after - shares).max()) < _CLOSE
        shares = after
        if is_close:
            break
    gain = float(np.log((ratios * shares).sum(axis=1) / (ratios * known).sum(axis=1)).sum())
    p_value = float(chdtrc(len(known) - 1, 2.0 * max(gain, 0.0)))
    return shares, p_value if isfinite(p_value) else 1.0
