"""Term shares: whether frequent words occur in more or fewer texts than they did."""

import numpy as np
from scipy.stats import false_discovery_control, norm

from noria.monitoring.drift.finding import Finding
from noria.monitoring.profiles import TermProfile

_LEAST_TEXTS = 10  # that a word must occur in, both samples together
_SHOWN = 3


def term_shares(reference: TermProfile, current: TermProfile) -> Finding:
    """Compare the share of texts that each watched word occurs in.

    Texts are independent where words are not, so texts are counted.

    Returns
    -------
    Finding
        Effect: the greatest change of a share among the words that changed surely (of all, if
        none did), in [0, 1]. p-value: the smallest of the words' two-proportion tests after
        Benjamini and Yekutieli's correction.

    References
    ----------
    .. [1] Benjamini, Yekutieli, "The control of the false discovery rate in multiple testing
       under dependency", Annals of Statistics 29 (2001).
    """
    pooled = (reference.counts + current.counts) / (reference.n + current.n)
    before, after = reference.counts / reference.n, current.counts / current.n
    errors = np.sqrt(pooled * (1.0 - pooled) * (1.0 / reference.n + 1.0 / current.n))
    told = (reference.counts + current.counts >= _LEAST_TEXTS) & (errors > 0)
    if not told.any():
        return Finding(0.0, 1.0, "")
    z = np.abs(after - before)[told] / errors[told]
    p_values = false_discovery_control(2.0 * norm.sf(z), method="by")
    changes = (after - before)[told]
    sure = p_values < 0.05
    effect = float(np.abs(changes[sure] if sure.any() else changes).max())
    order = np.flatnonzero(told)[np.argsort(-z, kind="stable")][:_SHOWN]
    shown = [f"'{reference.terms[i]}' {before[i]:.1%} → {after[i]:.1%}" for i in order]
    return Finding(effect, float(p_values.min()), "texts with " + ", ".join(shown))
