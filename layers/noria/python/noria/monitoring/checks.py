"""What has drifted in a window: statistics, corrected for their number, and named rules."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.stats import false_discovery_control

from noria.monitoring.drift.registry import STATISTICS
from noria.monitoring.profiles import ColumnProfile, LevelProfile, NumberProfile
from noria.monitoring.reference import Reference
from noria.monitoring.rules import OF_INPUTS, RULES, Window, degenerate_decision
from noria.monitoring.sources import OUTPUTS
from noria.monitoring.window import WindowProfile
from noria.records.drift import CheckedWindow, ColumnFinding, ColumnSummary, ThenAndNow
from noria.spec.model import ProjectSpec

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_GREATEST = float(np.finfo(np.float64).max)  # an infinite effect is not valid JSON


def checked_window(
    spec: ProjectSpec, reference: Reference, current: WindowProfile
) -> CheckedWindow:
    """Return what the statistics and rules of a spec find in a window, a batch or an archive.

    Fewer rows than `monitoring.min_rows` are not tested.
    """
    monitoring = spec.monitoring
    if current.n_rows < monitoring.min_rows:
        return CheckedWindow(current.n_rows, is_sufficient=False)
    findings = check_columns(
        reference.profile.columns,
        current.columns,
        effects=monitoring.effects,
        alpha=monitoring.alpha,
    )
    window = Window(spec, reference, current, findings)
    rules = [RULES[name](window) for name in monitoring.rules]
    rules.append(degenerate_decision(window))
    found = tuple(rule for rule in rules if rule is not None)
    return CheckedWindow(current.n_rows, True, tuple(findings), found)


def of_inputs(checked: CheckedWindow) -> CheckedWindow:
    """Return what was found of the inputs alone.

    For rows that the model was trained on: it is surer of them than of new ones.
    """
    return replace(
        checked,
        findings=tuple(found for found in checked.findings if found.column not in OUTPUTS),
        rules=tuple(rule for rule in checked.rules if rule.rule in OF_INPUTS),
    )


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
                min(finding.effect, _GREATEST),
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
) -> dict[str, ThenAndNow]:
    """Return what every column was and is, to be shown."""
    return {
        name: ThenAndNow(_summary(then), _summary(current[name]))
        for name, then in reference.items()
    }


def quantiles(profile: NumberProfile) -> dict[str, float | None]:
    """Return the quantiles that are shown of numbers, as p0 to p100."""
    return {f"p{int(100 * q)}": profile.shown_quantile(q) for q in _QUANTILES}


def latencies(profile: NumberProfile) -> dict[str, float | None]:
    """Return what is shown of latencies in ms: their quantiles, and their mean."""
    return {**quantiles(profile), "mean": profile.mean if profile.n else None}


def _summary(profile: ColumnProfile) -> ColumnSummary:
    if isinstance(profile, NumberProfile):
        return ColumnSummary(
            profile.n,
            profile.n_missing,
            mean=profile.mean,
            std=profile.std,
            quantiles=quantiles(profile),
            edges=tuple(profile.edges.tolist()),
            counts=tuple(profile.counts.tolist()),
        )
    names = (*profile.levels, "(other)") if isinstance(profile, LevelProfile) else profile.terms
    levels = dict(zip(names, profile.counts.tolist(), strict=True))
    return ColumnSummary(profile.n, profile.n_missing, levels=levels)


def _rank(p_adjusted: float | None) -> float:
    return 2.0 if p_adjusted is None else p_adjusted


def _can_compare(reference: ColumnProfile, current: ColumnProfile, statistic: str) -> bool:
    if statistic == "missing_share":  # nothing missing on either side needs no test
        is_any = bool(reference.n_missing or current.n_missing)
        return is_any and all(p.n + p.n_missing for p in (reference, current))
    return bool(reference.n and current.n)
