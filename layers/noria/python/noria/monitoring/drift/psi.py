"""Population stability index: the symmetric divergence of two sets of shares."""

import numpy as np
from scipy.stats import chi2

from noria.monitoring.drift.finding import Finding
from noria.monitoring.drift.jensen_shannon import coarse
from noria.monitoring.profiles import LevelProfile, NumberProfile


def population_stability_index(
    reference: NumberProfile | LevelProfile, current: NumberProfile | LevelProfile
) -> Finding:
    """Measure how far the shares have moved, over ten quantile bins or the levels.

    Returns
    -------
    Finding
        Effect: sum of (q - p) ln(q / p) in [0, inf), dimensionless; p and q are smoothed by half
        a count, so that empty bins stay finite. p-value: PSI / (1/n + 1/m) is nearly chi-square
        with one degree of freedom less than bins, which is why a fixed cut-off such as 0.1 means
        something else at every sample size.

    References
    ----------
    .. [1] Yurdakul, "Statistical properties of population stability index", Western Michigan
       University (2018), chapter 3.

    Examples
    --------
    >>> a = LevelProfile.of(("x", "y"), ["x"] * 50 + ["y"] * 50)
    >>> population_stability_index(a, a).effect
    0.0
    """
    left, right = coarse(reference) + 0.5, coarse(current) + 0.5
    p, q = left / left.sum(), right / right.sum()
    index = float(np.sum((q - p) * np.log(q / p)))
    scaled = index / (1.0 / reference.n + 1.0 / current.n)
    return Finding(index, float(chi2.sf(scaled, len(p) - 1)), "")
