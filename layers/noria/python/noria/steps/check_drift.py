"""Compare what the champion was asked and answered lately with what it was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from noria.errors import StoreUnavailableError
from noria.monitoring.baseline import read_baseline
from noria.monitoring.checks import check_columns, quantiles, then_and_now
from noria.monitoring.prediction_log import read_reference, read_window
from noria.monitoring.reference import Reference
from noria.monitoring.rules import RULES, Window
from noria.monitoring.streaks import continued
from noria.monitoring.window import WindowProfile
from noria.ports import Clock, ModelAliases, ProjectState, SearchableStore
from noria.records.codec import from_bytes, to_bytes
from noria.records.drift import (
    CheckedWindow,
    ColumnFinding,
    ConfirmedFinding,
    DriftReport,
    DriftVerdict,
    RuleFinding,
    Streaks,
    Windows,
)
from noria.spec.model import ProjectSpec
from noria.storage.keys import DRIFT, STREAKS, check_key

_ATTEMPTS = 5  # to write the streaks, where other checks run at the same moment


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
    state: ProjectState,
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
    StoreUnavailableError
        Other checks of the project run at the same moment; retry.
    """
    record = aliases.read(spec.name)
    champion = record.require_champion()
    at = datetime.fromisoformat(request.at) if request.at else clock.now()
    promoted_at = datetime.fromisoformat(str(record.promoted_at))
    found = _Check(spec, store, champion, promoted_at, at).report()
    report = replace(found, confirmed=_confirmed(spec, state, found))
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
    spec: ProjectSpec, state: ProjectState, report: DriftReport
) -> tuple[ConfirmedFinding, ...]:
    """Return what held in enough windows in a row; a check at the same moment loses no streak."""
    for _ in range(_ATTEMPTS):
        stored = state.read(spec.name, STREAKS)
        before = from_bytes(Streaks, stored.body) if stored.body else Streaks()
        after, confirmed = continued(before, report, spec.monitoring)
        if state.write(spec.name, STREAKS, to_bytes(after), expected_revision=stored.revision):
            return confirmed
    raise StoreUnavailableError(f"{spec.name}: other checks write its streaks all the time")


def _verdict(report: DriftReport) -> DriftVerdict:
    if report.confirmed:
        return "drift"
    if not any(window.is_sufficient for _, window in report.windows.named()):
        return "insufficient_data"
    return "stable"
