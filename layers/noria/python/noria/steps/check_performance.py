"""How good the champion is now: measured on the labels that came, estimated where none did."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from noria.monitoring.performance import drop, estimated, realised
from noria.monitoring.prediction_log import LabelledLog, read_reference, read_window
from noria.ports import Clock, ModelAliases, SearchableStore
from noria.records.codec import to_bytes
from noria.records.performance import Performance, PerformanceReport, PerformanceVerdict
from noria.spec.model import ProjectSpec
from noria.storage.keys import PERFORMANCE, check_key


@dataclass(frozen=True)
class CheckPerformanceRequest:
    """Which project, under which name, at which time."""

    project: str
    check_id: str
    at: str | None = None  # ISO 8601; now when absent


@dataclass(frozen=True)
class CheckPerformanceResult:
    """The finding, in short; `performance_key` has it in full."""

    verdict: PerformanceVerdict  # on labels
    estimated_verdict: PerformanceVerdict  # without
    n_labels: int
    performance_key: str


def check_performance(
    request: CheckPerformanceRequest,
    *,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
    clock: Clock,
) -> CheckPerformanceResult:
    """Measure the champion on the labels of the last hours, and estimate it without.

    Reads labels, the answers they belong to and the profiles of the log; writes the check's
    `performance.json`. Rows without a label are left out: neither right nor wrong. Fewer labels
    than `monitoring.min_labels` are "insufficient_data", never "good".
    """
    record = aliases.read(spec.name)
    champion = record.require_champion()
    at = datetime.fromisoformat(request.at) if request.at else clock.now()
    promoted_at = datetime.fromisoformat(str(record.promoted_at))
    reference = read_reference(store, spec.name, champion)
    monitoring, names = spec.monitoring, spec.evaluation.metrics
    label_window = (at - timedelta(hours=monitoring.label_hours), at)
    log = LabelledLog(store, spec.name, label_window, record_id_days=monitoring.record_id_days)
    outcomes = log.of(reference, champion)
    measured: dict[str, Performance] = {}
    if outcomes.n >= monitoring.min_labels:
        measured = {
            name: realised(name, reference, outcomes.answers, outcomes.truth) for name in names
        }
    start = max(at - timedelta(hours=monitoring.window_hours), promoted_at)
    window = read_window(store, reference, (spec.name, champion), start, at)
    guessed: dict[str, Performance] = {}
    if window.n_rows >= monitoring.min_rows:
        found = {name: estimated(name, reference, window) for name in names}
        guessed = {name: value for name, value in found.items() if value is not None}
    primary = spec.evaluation.primary_metric
    report = PerformanceReport(
        project=spec.name,
        model_version=champion,
        at=at.isoformat(),
        primary_metric=primary,
        n_labels=outcomes.n,
        n_unknown_labels=outcomes.n_unknown,
        n_unmatched_labels=log.n_unmatched,
        n_waiting_labels=log.n_waiting,
        n_rows=window.n_rows,
        realised=measured,
        estimated=guessed,
        verdict=_verdict(spec, measured.get(primary)),
        estimated_verdict=_verdict(spec, guessed.get(primary)),
    )
    key = check_key(spec.name, request.check_id, PERFORMANCE)
    store.put(key, to_bytes(report))
    return CheckPerformanceResult(report.verdict, report.estimated_verdict, outcomes.n, key)


def _verdict(spec: ProjectSpec, found: Performance | None) -> PerformanceVerdict:
    """Degraded: worse by more than the spec allows, and surely worse at all."""
    if found is None:
        return "insufficient_data"
    seems, at_least = drop(found)
    return "degraded" if seems > spec.monitoring.max_drop and at_least > 0.0 else "good"
