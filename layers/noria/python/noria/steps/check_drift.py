"""Compare what the champion was asked and answered lately with what it was trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from noria.monitoring.baseline import read_baseline
from noria.monitoring.checks import check_columns, quantiles, then_and_now
from noria.monitoring.prediction_log import read_reference, read_window
from noria.monitoring.reference import Reference
from noria.monitoring.rules import RULES, Window
from noria.monitoring.sources import OUTPUTS
from noria.monitoring.window import WindowProfile
from noria.ports import Clock, ModelAliases, SearchableStore
from noria.records.codec import from_bytes, to_bytes
from noria.records.drift import (
    CheckedWindow,
    ColumnFinding,
    ConfirmedFinding,
    DriftReport,
    DriftVerdict,
    RuleFinding,
    Streak,
    Streaks,
    Windows,
)
from noria.spec.model import ProjectSpec
from noria.storage.keys import DRIFT, STREAKS, check_key, monitoring_key


@dataclass(frozen=True)
class CheckDriftRequest:
    """Which project, under which name, at which time."""

    project: str
    check_id: str
    at: str | None = None  # end of the windows, ISO 8601; now when absent


@dataclass(frozen=True)
class CheckDriftResult:
    """The finding, in short; `drift_key` has it in full."""

    verdict: DriftVerdict
    model_version: str
    n_rows: int
    drifted: tuple[str, ...]  # columns confirmed in windows in a row
    drift_key: str
    at: str


def check_drift(
    request: CheckDriftRequest,
    *,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
    clock: Clock,
) -> CheckDriftResult:
    """Check the short and the long window of the champion's answers.

    Reads the champion's reference profile and the profiles of the log's chunks; writes the
    check's `drift.json` and how many windows in a row each finding has held. Windows never reach
    back before the champion's promotion: a new champion starts with a clean sheet. Fewer rows
    than `monitoring.min_rows` are "insufficient_data", never "stable".

    Raises
    ------
    NoChampionError
        There is nothing to watch yet.
    """
    record = aliases.read(spec.name)
    champion = record.require_champion()
    at = datetime.fromisoformat(request.at) if request.at else clock.now()
    promoted_at = datetime.fromisoformat(str(record.promoted_at))
    found = _Check(spec, store, champion, promoted_at, at).report()
    report = replace(found, confirmed=_confirmed(spec, store, found))
    report = replace(report, verdict=_verdict(report))
    key = check_key(spec.name, request.check_id, DRIFT)
    store.put(key, to_bytes(report))
    return CheckDriftResult(
        verdict=report.verdict,
        model_version=champion,
        n_rows=report.windows.long.n_rows,
        drifted=tuple(finding.name for finding in report.confirmed),
        drift_key=key,
        at=report.at,
    )


class _Check:
    """One champion at one time."""

    def __init__(
        self,
        spec: ProjectSpec,
        store: SearchableStore,
        champion: str,
        promoted_at: datetime,
        at: datetime,
    ) -> None:
        self._spec, self._store, self._champion = spec, store, champion
        self._promoted_at, self._at = promoted_at, at
        self._reference = _with_baseline(
            read_reference(store, spec.name, champion),
            spec.name,
            champion,
            store,
            min_rows=spec.monitoring.min_rows,
        )

    def report(self) -> DriftReport:
        monitoring = self._spec.monitoring
        long = self._window(monitoring.window_hours)
        short = self._window(monitoring.short_window_hours)
        return DriftReport(
            project=self._spec.name,
            model_version=self._champion,
            at=self._at.isoformat(),
            window_hours=monitoring.window_hours,
            short_window_hours=monitoring.short_window_hours,
            windows=Windows(short=self._checked(short), long=self._checked(long)),
            columns=then_and_now(self._reference.profile.columns, long.columns),
            latency_ms=quantiles(long.latency),
            n_failed=long.n_failed,
        )

    def _window(self, hours: int) -> WindowProfile:
        start = max(self._at - timedelta(hours=hours), self._promoted_at)
        subject = (self._spec.name, self._champion)
        return read_window(self._store, self._reference, subject, start, self._at)

    def _checked(self, current: WindowProfile) -> CheckedWindow:
        monitoring = self._spec.monitoring
        if current.n_rows < monitoring.min_rows:
            return CheckedWindow(current.n_rows, is_sufficient=False)
        findings = check_columns(
            self._reference.profile.columns,
            current.columns,
            effects=monitoring.effects,
            alpha=monitoring.alpha,
        )
        rules = self._rules(current, findings)
        return CheckedWindow(current.n_rows, True, tuple(findings), tuple(rules))

    def _rules(
        self, current: WindowProfile, findings: Sequence[ColumnFinding]
    ) -> Sequence[RuleFinding]:
        window = Window(self._spec, self._reference, current, findings)
        found = [RULES[name](window) for name in self._spec.monitoring.rules]
        return [rule for rule in found if rule is not None]


def _with_baseline(
    reference: Reference, project: str, champion: str, store: SearchableStore, *, min_rows: int
) -> Reference:
    """Return the reference with the columns of a declared baseline, where there is one."""
    baseline = read_baseline(store, project)
    if baseline is None or baseline.model_version != champion:
        return reference  # a promotion ends the baseline of the model before
    window = read_window(store, reference, (project, champion), *baseline.window())
    return replace(reference, profile=window) if window.n_rows >= min_rows else reference


def _confirmed(
    spec: ProjectSpec, store: SearchableStore, report: DriftReport
) -> tuple[ConfirmedFinding, ...]:
    """Return the findings that held in enough windows in a row, and remember all that hold now.

    A check at the same time again counts once; another champion starts anew.
    """
    before = _streaks(store, spec.name)
    known = before.streaks if before.model_version == report.model_version else {}
    at = datetime.fromisoformat(report.at)
    # The two schedules fall together, people are impatient, steps run twice: one window.
    apart = timedelta(hours=spec.monitoring.every_hours) / 2
    is_again = bool(before.at) and abs(at - datetime.fromisoformat(before.at)) < apart
    confirmed: dict[str, ConfirmedFinding] = {}
    streaks: dict[str, Streak] = {}
    for window, finding in _holding(report):
        key = f"{window}|{finding.name}"
        streak = known.get(key, Streak(0, report.at))
        n = streak.n + (0 if is_again and streak.n else 1)
        streaks[key] = replace(streak, n=n)
        if n >= spec.monitoring.windows_in_a_row:
            confirmed.setdefault(finding.name, replace(finding, n_windows=n, since=streak.since))
    state = Streaks(report.model_version, report.at, streaks)
    store.put(monitoring_key(spec.name, STREAKS), to_bytes(state))
    return tuple(confirmed.values())


def _streaks(store: SearchableStore, project: str) -> Streaks:
    try:
        return from_bytes(Streaks, store.get(monitoring_key(project, STREAKS)))
    except KeyError:  # the first check of all
        return Streaks()


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


def _verdict(report: DriftReport) -> DriftVerdict:
    if report.confirmed:
        return "drift"
    if not any(window.is_sufficient for _, window in report.windows.named()):
        return "insufficient_data"
    return "stable"
