"""Compare what the champion was asked and answered lately with what it was trained on."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from noria.monitoring.checks import checked_window, latencies, then_and_now
from noria.monitoring.evidence import Policy, accumulated, judged_report, observations
from noria.monitoring.prediction_log import read_chunks, usual_reference
from noria.monitoring.suspicions import of_version, update_suspicions
from noria.ports import Clock, ModelAliases, ProjectState, SearchableStore
from noria.records.codec import to_bytes
from noria.records.drift import DriftReport, Suspicions, Windows
from noria.records.verdicts import DriftVerdict
from noria.spec.model import ProjectSpec
from noria.storage.hours import hour_name
from noria.storage.keys import DRIFT, SUSPICIONS, check_key

_NEW_SHARE = 0.25  # of the long window's rows: so many new ones are evidence of their own


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
    drifted: tuple[str, ...]  # columns and rules that are confirmed
    suspected: tuple[str, ...]  # those that more new rows must confirm
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
    check's `drift.json` and the evidence for what has moved, which adds up over windows of new
    rows. Windows never reach back before the champion's promotion: a new champion starts with a
    clean sheet. Fewer rows than `monitoring.min_rows` are "insufficient_data", never "stable",
    and neither is anything that has moved in a window.

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
    check = _Check(spec, store, champion, promoted_at, at)
    report = _judged(spec, state, check)
    key = check_key(spec.name, request.check_id, DRIFT)
    store.put(key, to_bytes(report))
    return CheckDriftResult(
        verdict=report.verdict,
        model_version=champion,
        n_rows=report.windows.long.n_rows,
        drifted=tuple(finding.name for finding in report.confirmed),
        suspected=tuple(finding.name for finding in report.suspected),
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
        self._reference = usual_reference(
            store, spec.name, champion, min_rows=spec.monitoring.min_rows
        )
        self._rows_by_hour: Counter[str] = Counter()
        self.report = self._report()

    def n_new_rows(self, since: Suspicions) -> int:
        """Return how many rows of the long window came after the last check that counted."""
        if not since.at:
            return self._rows_by_hour.total()
        hour = hour_name(datetime.fromisoformat(since.at))
        later = sum(n for name, n in self._rows_by_hour.items() if name > hour)
        return later + max(self._rows_by_hour[hour] - since.n_rows_of_hour, 0)

    def n_new_needed(self, min_rows: int) -> float:
        """Return how many new rows are evidence of their own; one at least."""
        return max(min(min_rows, _NEW_SHARE * self._rows_by_hour.total()), 1.0)

    def rows_of_hour(self) -> int:
        """Return how many rows the hour of this check has."""
        return self._rows_by_hour[hour_name(self._at)]

    def _report(self) -> DriftReport:
        monitoring = self._spec.monitoring
        short_start = self._start(monitoring.short_window_hours)
        first_short = hour_name(short_start)
        long, short = self._reference.empty(), self._reference.empty()
        subject, start = (self._spec.name, self._champion), self._start(monitoring.window_hours)
        # One reading: the hours of the short window are the last of the long one.
        for hour, chunk in read_chunks(self._store, self._reference, subject, start, self._at):
            self._rows_by_hour[hour] += chunk.n_rows
            long.add(chunk)
            if hour >= first_short:
                short.add(chunk)
        return DriftReport(
            project=self._spec.name,
            model_version=self._champion,
            at=self._at.isoformat(),
            window_hours=monitoring.window_hours,
            short_window_hours=monitoring.short_window_hours,
            windows=Windows(
                *(checked_window(self._spec, self._reference, window) for window in (short, long))
            ),
            columns=then_and_now(self._reference.profile.columns, long.columns),
            latency_ms=latencies(long.latency),
            n_failed=long.n_failed,
            n_answered=long.latency.n,
            n_windows_needed=monitoring.windows_in_a_row,
        )

    def _start(self, hours: int) -> datetime:
        return max(self._at - timedelta(hours=hours), self._promoted_at)


def _judged(spec: ProjectSpec, state: ProjectState, check: _Check) -> DriftReport:
    """Return the check's report with what is confirmed and suspected; no other check is lost."""
    monitoring, report = spec.monitoring, check.report
    policy = Policy(monitoring.alpha, monitoring.windows_in_a_row)
    found = observations(report, policy)

    def judged(stored: Suspicions) -> tuple[Suspicions, DriftReport]:
        before = of_version(stored, report.model_version)
        n_new = check.n_new_rows(before)
        is_new = n_new >= check.n_new_needed(monitoring.min_rows)
        after, confirmed, suspected = accumulated(
            before,
            found,
            policy,
            model_version=report.model_version,
            at=report.at,
            is_new=is_new,
        )
        counted = check.rows_of_hour() if is_new else before.n_rows_of_hour
        return replace(after, n_rows_of_hour=counted), judged_report(
            replace(report, n_new_rows=n_new), confirmed, suspected
        )

    return update_suspicions(state, spec.name, SUSPICIONS, judged)
