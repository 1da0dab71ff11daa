"""Which columns of a window have drifted: statistics, corrected for their number."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from noria.monitoring.drift.registry import STATISTICS
from noria.monitoring.profiles import ColumnProfile, LevelProfile, NumberProfile

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class ColumnFinding:
    """What one statistic says about one column of a window."""

    column: str
    statistic: str
    effect: float
    threshold: float | None  # effects below it do not matter; None: this statistic only informs
    p_value: float | None
    p_adjusted: float | None  # Benjamini-Yekutieli over all tests of the window
    is_drifted: bool
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON data; an endless effect is the greatest number."""
        shown = asdict(self)
        return {**shown, "effect": float(min(self.effect, np.finfo(np.float64).max))}


def check_columns(
    reference: Mapping[str, ColumnProfile],
    current: Mapping[str, ColumnProfile],
    *,
    effects: Mapping[str, float],
    alpha: float,
) -> list[ColumnFinding]:
    """Return what every statistic finds in every column, the surest first.

    Parameters
    ----------
    reference, current : mapping of column to profile
        Of the same frame. Columns empty on either side are left out.
    effects : mapping of statistic to least effect
        These decide; all others inform.
    alpha : float in (0, 1)
        Rate of false discoveries among the tests that decide.

    Notes
    -----
    A column has drifted if a deciding statistic's p-value is below `alpha` after Benjamini and
    Yekutieli's correction, which holds whatever the columns have to do with each other, and its
    effect is at least the threshold: a million rows make every difference significant.
    """
    found = [
        (column, name, statistic.compute(profile, current[column]))
        for column, profile in reference.items()
        for name, statistic in STATISTICS.items()
        if isinstance(profile, statistic.kinds) and _can_compare(profile, current[column], name)
    ]
    tested = [
        n
        for n, (_, name, finding) in enumerate(found)
        if name in effects and finding.p_value is not None
    ]
    adjusted: dict[int, float] = {}
    if tested:
        p_values = [min(1.0, max(0.0, float(found[n][2].p_value or 0.0))) for n in tested]
        corrected = false_discovery_control(p_values, method="by")
        adjusted = dict(zip(tested, corrected.tolist(), strict=True))
    findings = []
    for n, (column, name, finding) in enumerate(found):
        threshold, p_adjusted = effects.get(name), adjusted.get(n)
        is_drifted = (
            threshold is not None
            and finding.effect >= threshold
            and (p_adjusted is None or p_adjusted < alpha)
        )
        findings.append(
            ColumnFinding(
                column,
                name,
                finding.effect,
                threshold,
                finding.p_value,
                p_adjusted,
                is_drifted,
                finding.detail,
            )
        )
    return sorted(findings, key=lambda f: (not f.is_drifted, _rank(f.p_adjusted), f.column))


def then_and_now(
    reference: Mapping[str, ColumnProfile], current: Mapping[str, ColumnProfile]
) -> dict[str, Any]:
    """Return what every column was and is, as JSON data to show."""
    return {
        name: {"then": _shown(then), "now": _shown(current[name])}
        for name, then in reference.items()
    }


def quantiles(profile: NumberProfile) -> dict[str, float | None]:
    """Return the quantiles that are shown of numbers, as p0 to p100."""
    return {f"p{int(100 * q)}": profile.quantile(q) for q in _QUANTILES}


def _shown(profile: ColumnProfile) -> dict[str, Any]:
    shown: dict[str, Any] = {"n": profile.n, "n_missing": profile.n_missing}
    if isinstance(profile, NumberProfile):
        edges, counts = profile.edges, profile.counts
        return shown | {
            "mean": profile.mean,
            "std": profile.std,
            "quantiles": quantiles(profile),
            "edges": edges.tolist(),
            "counts": counts.tolist(),
        }
    names = (*profile.levels, "(other)") if isinstance(profile, LevelProfile) else profile.terms
    return shown | {"levels": dict(zip(names, profile.counts.tolist(), strict=True))}


def _rank(p_adjusted: float | None) -> float:
    return 2.0 if p_adjusted is None else p_adjusted


def _can_compare(reference: ColumnProfile, current: ColumnProfile, statistic: str) -> bool:
    if statistic == "missing_share":  # nothing missing on either side needs no test
        is_any = bool(reference.n_missing or current.n_missing)
        return is_any and all(p.n + p.n_missing for p in (reference, current))
    return bool(reference.n and current.n)
