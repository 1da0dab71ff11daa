"""Kolmogorov-Smirnov: the greatest distance of two distribution functions."""

import numpy as np
from scipy.special import kolmogorov

from noria.monitoring.drift.finding import Finding
from noria.monitoring.profiles import NumberProfile
from noria.reporting.numbers import number_text


def kolmogorov_smirnov(reference: NumberProfile, current: NumberProfile) -> Finding:
    """Compare two samples of numbers.

    Parameters
    ----------
    reference, current : NumberProfile
        Of the same bins, neither empty.

    Returns
    -------
    Finding
        Effect: D in [0, 1], dimensionless; exact while both keep their values, else at the 255
        bin edges. p-value: asymptotic, with Stephens' correction for small samples; on ties it
        is too large, never too small.

    References
    ----------
    .. [1] Stephens, "Use of the Kolmogorov-Smirnov, Cramér-von Mises and related statistics
       without extensive tables", JRSS B 32 (1970), section 2.

    Examples
    --------
    >>> low = NumberProfile.of(np.arange(10.0), [1.0, 2.0, 3.0, 4.0])
    >>> high = NumberProfile.of(np.arange(10.0), [3.0, 4.0, 5.0, 6.0])
    >>> kolmogorov_smirnov(low, high).effect
    0.5
    """
    distance = _distance(reference, current)
    n = np.sqrt(reference.n * current.n / (reference.n + current.n))
    p_value = float(kolmogorov((n + 0.12 + 0.11 / n) * distance))
    detail = (
        f"median {reference.quantile_text(0.5)} → {current.quantile_text(0.5)}, "
        f"mean {_shown(reference.mean)} → {_shown(current.mean)}"
    )
    return Finding(distance, p_value, detail)


def _distance(reference: NumberProfile, current: NumberProfile) -> float:
    if reference.values is None or current.values is None:
        shares = [np.cumsum(profile.counts) / profile.n for profile in (reference, current)]
        return float(np.abs(shares[0] - shares[1]).max())
    left, right = np.sort(reference.values), np.sort(current.values)
    points = np.concatenate([left, right])
    below = [np.searchsorted(v, points, side="right") / len(v) for v in (left, right)]
    return float(np.abs(below[0] - below[1]).max())


def _shown(value: float | None) -> str:
    return "–" if value is None else number_text(value)
