"""Mean shift: how far a mean has moved, in deviations and in standard errors."""

import numpy as np
from scipy.stats import norm

from noria.monitoring.drift.finding import Finding
from noria.monitoring.profiles import NumberProfile
from noria.reporting.numbers import number_text


def mean_shift(reference: NumberProfile, current: NumberProfile) -> Finding:
    """Compare two means.

    Returns
    -------
    Finding
        Effect: |difference| in the reference's standard deviations, in [0, inf). p-value: of
        Welch's z, the difference in its own standard error. (A mean held against the deviation of
        single values would need a shift of two deviations to be seen.)

    References
    ----------
    .. [1] Welch, "The generalization of Student's problem", Biometrika 34 (1947).

    Examples
    --------
    >>> a = NumberProfile.of(np.arange(10.0), [1.0, 2.0, 3.0])
    >>> mean_shift(a, NumberProfile.of(np.arange(10.0), [2.0, 3.0, 4.0])).effect
    1.0
    """
    difference = current.mean - reference.mean
    error = float(np.sqrt(reference.std**2 / reference.n + current.std**2 / current.n))
    detail = f"mean {number_text(reference.mean)} → {number_text(current.mean)}"
    if not error or not reference.std:
        return Finding(0.0 if not difference else float("inf"), float(not difference), detail)
    return Finding(
        abs(difference) / reference.std, float(2.0 * norm.sf(abs(difference) / error)), detail
    )
