"""Missing share: whether more or fewer values are missing than were."""

import numpy as np
from scipy.stats import norm

from noria.monitoring.drift.finding import Finding
from noria.monitoring.profiles import ColumnProfile


def missing_share(reference: ColumnProfile, current: ColumnProfile) -> Finding:
    """Compare the shares of missing values.

    Returns
    -------
    Finding
        Effect: the change of the share, in [0, 1]. p-value: of the two-proportion test.

    References
    ----------
    .. [1] Agresti, "Categorical data analysis", 3rd ed. (2013), section 3.2.
    """
    sizes = [profile.n + profile.n_missing for profile in (reference, current)]
    before, after = reference.n_missing / sizes[0], current.n_missing / sizes[1]
    pooled = (reference.n_missing + current.n_missing) / sum(sizes)
    error = float(np.sqrt(pooled * (1.0 - pooled) * (1.0 / sizes[0] + 1.0 / sizes[1])))
    p_value = float(2.0 * norm.sf(abs(after - before) / error)) if error else 1.0
    return Finding(abs(after - before), p_value, f"missing {before:.1%} → {after:.1%}")
