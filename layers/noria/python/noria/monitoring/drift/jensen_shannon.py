"""Jensen-Shannon: how far two sets of shares are from their mean."""

import numpy as np

from noria.monitoring.drift.finding import Finding
from noria.monitoring.profiles import Floats, LevelProfile, NumberProfile


def jensen_shannon(
    reference: NumberProfile | LevelProfile, current: NumberProfile | LevelProfile
) -> Finding:
    """Compare the shares of two profiles, categories or bins.

    Returns
    -------
    Finding
        Effect: the Jensen-Shannon distance with base 2 in [0, 1], dimensionless. No p-value.

    References
    ----------
    .. [1] Endres, Schindelin, "A new metric for probability distributions", IEEE Trans. Inf.
       Theory 49 (2003).

    Examples
    --------
    >>> a = LevelProfile.of(("x", "y"), ["x"] * 4)
    >>> jensen_shannon(a, LevelProfile.of(("x", "y"), ["y"] * 4)).effect
    1.0
    """
    left, right = coarse(reference), coarse(current)
    return Finding(distance(left, right), None, "")


def distance(left: Floats, right: Floats) -> float:
    """Return the Jensen-Shannon distance (base 2) of two arrays of counts."""
    p, q = left / left.sum(), right / right.sum()
    middle = (p + q) / 2.0
    divergence = 0.0
    for part in (p, q):
        known = part > 0
        divergence += float(part[known] @ np.log2(part[known] / middle[known])) / 2.0
    return float(np.sqrt(max(divergence, 0.0)))


def coarse(profile: NumberProfile | LevelProfile, n_groups: int = 10) -> Floats:
    """Return counts of a few wide bins: ten groups of the 256, or the levels as they are."""
    counts = profile.counts.astype(np.float64)
    if isinstance(profile, LevelProfile) or len(counts) <= n_groups:
        return counts
    starts = np.linspace(0, len(counts), n_groups, endpoint=False).astype(int)
    return np.add.reduceat(counts, starts)
