"""Wasserstein: how much work it is to turn one distribution into the other."""

import numpy as np

from noria.monitoring.drift.finding import Finding
from noria.monitoring.profiles import NumberProfile


def wasserstein(reference: NumberProfile, current: NumberProfile) -> Finding:
    """Measure the mean distance that values have moved, in the reference's deviations.

    Returns
    -------
    Finding
        Effect: the area between the distribution functions over the bins' edges, divided by the
        reference's standard deviation, in [0, inf), dimensionless. What lies beyond the outermost
        edges counts as lying on them. No p-value.

    References
    ----------
    .. [1] Ramdas, García Trillos, Cuturi, "On Wasserstein two-sample testing", Entropy 19 (2017).

    Examples
    --------
    >>> a = NumberProfile.of(np.arange(10.0), [0.0, 2.0])
    >>> b = NumberProfile.of(np.arange(10.0), [1.0, 3.0])
    >>> round(wasserstein(a, b).effect * a.std, 6)
    1.0
    """
    if not reference.std:
        return Finding(0.0, None, "")
    gaps = np.abs(
        np.cumsum(reference.counts) / reference.n - np.cumsum(current.counts) / current.n
    )[1:-1]
    area = float(gaps @ np.diff(reference.edges))
    return Finding(area / reference.std, None, "")
