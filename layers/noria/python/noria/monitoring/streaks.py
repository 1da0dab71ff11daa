"""In how many windows in a row each finding has held: what confirms a drift."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from noria.monitoring.sources import OUTPUTS
from noria.records.drift import ConfirmedFinding, DriftReport, Streak, Streaks
from noria.spec.operations import MonitoringSection


def continued(
    before: Streaks, report: DriftReport, monitoring: MonitoringSection
) -> tuple[Streaks, tuple[ConfirmedFinding, ...]]:
    """Return the streaks after a check, and the findings that held in enough windows in a row.

    A check at the same time again counts once; another champion starts anew.
    """
    known = before.streaks if before.model_version == report.model_version else {}
    at = datetime.fromisoformat(report.at)
    # The two schedules fall together, people are impatient, steps run twice: one window.
    apart = timedelta(hours=monitoring.every_hours) / 2
    is_again = bool(before.at) and abs(at - datetime.fromisoformat(before.at)) < apart
    confirmed: dict[str, ConfirmedFinding] = {}
    streaks: dict[str, Streak] = {}
    for window, finding in _holding(report):
        key = f"{window}|{finding.name}"
        streak = known.get(key, Streak(0, report.at))
        n = streak.n + (0 if is_again and streak.n else 1)
        streaks[key] = replace(streak, n=n)
        if n >= monitoring.windows_in_a_row:
            confirmed.setdefault(finding.name, replace(finding, n_windows=n, since=streak.since))
    return Streaks(report.model_version, report.at, streaks), tuple(confirmed.values())


def _holding(report: DriftReport) -> Iterator[tuple[str, ConfirmedFinding]]:
    """Yield what holds in each window: columns and rules."""
    for window, checked in report.windows.named():
        for column in checked.findings:
            if column.is_drifted:
                is_output = column.column in OUTPUTS
                code = "prediction_drift" if is_output else "data_drift"
                yield window, ConfirmedFinding(column.column, code, 0, report.at, column=column)
        for rule in checked.rules:
            if rule.is_broken:
                yield window, ConfirmedFinding(rule.rule, rule.code, 0, report.at, rule=rule)
