"""Chi-square: whether two sets of counts can come from the same shares."""

import numpy as np
from scipy.stats import chi2

from noria.monitoring.drift.finding import Finding
from noria.monitoring.drift.jensen_shannon import distance
from noria.monitoring.profiles import Floats, LevelProfile

_LEAST_EXPECTED = 5.0  # counts below it make the approximation poor (Cochran 1954)


def chi_square(reference: LevelProfile, current: LevelProfile) -> Finding:
    """Compare the counts of categories in two samples of any sizes.

    Levels that few rows have are counted together; levels the reference lacks count as one.

    Returns
    -------
    Finding
        Effect: the Jensen-Shannon distance of the shares in [0, 1]. p-value: of the test of
        homogeneity on the 2 x k table, both samples being samples.

    References
    ----------
    .. [1] Pearson, Phil. Mag. 50 (1900); Cochran, Biometrics 10 (1954) for small counts.

    Examples
    --------
    >>> a = LevelProfile.of(("x", "y"), ["x"] * 50 + ["y"] * 50)
    >>> round(chi_square(a, LevelProfile.of(("x", "y"), ["x"] * 10 + ["y"] * 10)).p_value, 6)
    1.0
    """
    table = np.array([reference.counts, current.counts], dtype=np.float64)
    detail = _largest_change(reference, current)
    effect = distance(table[0], table[1])
    table = _pooled(table)
    if table.shape[1] < 2:
        return Finding(effect, 1.0, detail)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(np.sum((table - expected) ** 2 / expected))
    return Finding(effect, float(chi2.sf(statistic, table.shape[1] - 1)), detail)


def _pooled(table: Floats) -> Floats:
    """Put the columns of few expected counts together."""
    smallest = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    few = smallest < _LEAST_EXPECTED
    pooled = np.column_stack([table[:, ~few], table[:, few].sum(axis=1)])
    return pooled[:, pooled.sum(axis=0) > 0]


def _largest_change(reference: LevelProfile, current: LevelProfile) -> str:
    before, after = reference.counts / reference.n, current.counts / current.n
    changes = after - before
    place = max(range(len(changes)), key=lambda i: (abs(changes[i]), changes[i]))
    name = (*reference.levels, "(not in training)")[place]
    return f"share of '{name}' {before[place]:.1%} → {after[place]:.1%}"
