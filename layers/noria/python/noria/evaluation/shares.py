"""The exact interval of a share that was counted."""

from typing import NamedTuple

from scipy.special import betaincinv


class ShareInterval(NamedTuple):
    """Between which shares the true one lies, each in [0, 1]."""

    low: float
    high: float


def exact_interval(count: int, n: int, confidence: float) -> ShareInterval:
    """Return the interval of Clopper and Pearson [1]_: at least `confidence` of them hold.

    Parameters
    ----------
    count : int in [0, n]
    n : int, at least 1
    confidence : float in (0, 1)

    References
    ----------
    .. [1] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in
       the case of the binomial", Biometrika 26 (1934), 404-413: quantiles of beta distributions.

    Examples
    --------
    >>> low, high = exact_interval(0, 10, 0.95)
    >>> low, round(high, 4)
    (0.0, 0.3085)
    """
    tail = (1.0 - confidence) / 2.0
    low = float(betaincinv(count, n - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, n - count, 1.0 - tail)) if count < n else 1.0
    return ShareInterval(low, high)
