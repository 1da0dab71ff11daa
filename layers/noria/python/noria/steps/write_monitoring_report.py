"""Write what a check found as a report for people, and as what the API shows."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from noria.monitoring.sources import CONFIDENCE, PREDICTION
from noria.ports import SearchableStore
from noria.records.check import CheckReport, CheckSummary, History, Metric
from noria.records.codec import from_bytes, to_bytes
from noria.records.drift import DriftReport
from noria.records.performance import PerformanceReport
from noria.records.retraining import RetrainingDecision
from noria.records.verdicts import Health
from noria.reporting.batch_report import write_page
from noria.reporting.monitoring_report import render
from noria.reporting.words import check_summary
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    CURRENT,
    DRIFT,
    HISTORY,
    PERFORMANCE,
    REPORT_HTML,
    REPORT_JSON,
    RETRAINING,
    check_key,
    metrics_key,
    monitoring_key,
)

_MAX_HISTORY = 120  # checks in the picture and in `history.json`


@dataclass(frozen=True)
class WriteMonitoringReportRequest:
    """Which check."""

    project: str
    check_id: str


@dataclass(frozen=True)
class WriteMonitoringReportResult:
    """How the champion is, in a sentence; the report is at `report_key`."""

    health: Health
    summary: str
    report_key: str
    event: str  # of the alert, where the champion is unhealthy
    overdue: str | None = None  # since when a suspicion has waited for too long
    service: str | None = None  # what is wrong with how requests are answered


def write_monitoring_report(
    request: WriteMonitoringReportRequest, *, spec: ProjectSpec, store: SearchableStore
) -> WriteMonitoringReportResult:
    """Gather the check's findings; write its report, and what the API answers with.

    Reads the check's three files and the history of checks; writes `report.html`, `report.json`,
    `current.json`, `history.json` and the day in numbers under `monitoring/<project>/`, and draws the pages of batches
    again that labels have come for. The check of a batch is about
    its rows: its report stands alone, and what the API shows of the champion stays.
    """

    def read[T](kind: type[T], name: str) -> T:
        return from_bytes(kind, store.get(check_key(spec.name, request.check_id, name)))

    drift, performance = read(DriftReport, DRIFT), read(PerformanceReport, PERFORMANCE)
    report = CheckReport(
        project=spec.name,
        check_id=request.check_id,
        at=drift.at,
        health=_health(drift, performance),
        drift=drift,
        performance=performance,
        retraining=read(RetrainingDecision, RETRAINING),
        metrics=_metrics(drift, performance),
        report_key=check_key(spec.name, request.check_id, REPORT_HTML),
    )
    history = _history(spec.name, store, report) if drift.job_id is None else History()
    store.put(report.report_key, render(report, history))
    body = to_bytes(report)
    store.put(check_key(spec.name, request.check_id, REPORT_JSON), body)
    if drift.job_id is None:
        store.put(monitoring_key(spec.name, HISTORY), to_bytes(history))
        store.put(monitoring_key(spec.name, CURRENT), body)
        store.put(metrics_key(spec.name, report.at[:10]), canonical_json(dict(report.metrics)))
    for job_id in performance.changed_jobs:
        with suppress(KeyError):  # it has expired
            write_page(store, spec.name, job_id)
    return WriteMonitoringReportResult(
        health=report.health,
        summary=check_summary(report),
        report_key=report.report_key,
        event=_event(report),
        overdue=_overdue(spec, report),
        service=_service(spec, drift),
    )


def _health(drift: DriftReport, performance: PerformanceReport) -> Health:
    verdicts: set[str] = {drift.verdict}
    if drift.job_id is None:
        verdicts |= {performance.verdict, performance.estimated_verdict}
    if verdicts & {"drift", "degraded"}:
        return "unhealthy"
    if verdicts & {"suspected", "untrusted"}:
        return "suspected"
    return "insufficient_data" if verdicts == {"insufficient_data"} else "healthy"


def _event(report: CheckReport) -> str:
    """Return what an unhealthy champion is told as: calibration alone has its own remedy."""
    if report.drift.job_id is not None:
        return "BatchDrifted"
    codes = {code for code, _ in report.performance.degraded()}
    is_of_calibration = codes == {"calibration"} and not report.drift.confirmed
    return "CalibrationDegraded" if is_of_calibration else "ModelUnhealthy"


def _overdue(spec: ProjectSpec, report: CheckReport) -> str | None:
    """Return since when the oldest suspicion has waited, if that is longer than the spec says."""
    if report.health != "suspected":
        return None
    oldest = min((finding.since for finding in report.drift.suspected), default=report.at)
    age = datetime.fromisoformat(report.at) - datetime.fromisoformat(oldest)
    return oldest if age >= timedelta(hours=spec.monitoring.suspicion_hours) else None


def _service(spec: ProjectSpec, drift: DriftReport) -> str | None:
    """Return what is wrong with how the window's requests were answered; None where nothing is."""
    n_requests = drift.n_answered + drift.n_failed
    if drift.job_id is not None or n_requests < spec.monitoring.min_rows:
        return None
    faults, alerts = list[str](), spec.alerts
    if drift.n_failed > alerts.max_failed_fraction * n_requests:
        share = drift.n_failed / n_requests
        limit = f"{alerts.max_failed_fraction:.0%} (alerts.max_failed_fraction)"
        faults.append(f"{share:.1%} of {n_requests:,} requests failed, more than {limit}")
    slow = drift.latency_ms.get("p95")
    if slow is not None and slow > alerts.max_latency_ms:
        limit = f"{alerts.max_latency_ms:g} ms (alerts.max_latency_ms)"
        faults.append(f"the slowest 5 % were answered in {slow:.0f} ms or more, above {limit}")
    return "; ".join(faults) or None


def _metrics(drift: DriftReport, performance: PerformanceReport) -> dict[str, Metric]:
    """Return the day in numbers: how many answers of which class, how sure, how fast."""
    hours, predicted = drift.window_hours, drift.columns[PREDICTION].now
    of_window: dict[str, Metric] = (
        {"window_hours": hours, "predictions_per_hour": predicted.n / hours}
        if drift.job_id is None
        else {"job_id": drift.job_id}
    )
    metrics: dict[str, Metric] = of_window | {
        "date": drift.at[:10],
        "total_predictions": predicted.n,
        "latency_ms": drift.latency_ms,
        "n_failed": drift.n_failed,
        "champion_since": performance.champion_since,
        "total_labeled": performance.n_labels,
    }
    if predicted.levels is not None:
        metrics["predictions_by_class"] = predicted.levels
        metrics["average_confidence"] = drift.columns[CONFIDENCE].now.mean
    else:
        metrics |= {
            "mean": predicted.mean, "std": predicted.std, "quantiles": predicted.quantiles
        }  # fmt: skip
    return metrics | {name: found.value for name, found in performance.realised.items()}


def _history(project: str, store: SearchableStore, report: CheckReport) -> History:
    """Return the last checks with this one; a check that is run again counts once."""
    key = monitoring_key(project, HISTORY)
    earlier = from_bytes(History, store.get(key)) if store.exists(key) else History()
    performance = report.performance
    entry = CheckSummary(
        check_id=report.check_id,
        at=report.at,
        model_version=report.drift.model_version,
        verdict=report.drift.verdict,
        health=report.health,
        retrain=report.retraining.retrain,
        realised=performance.realised.get(performance.primary_metric),
        estimated=performance.estimated.get(performance.primary_metric),
    )
    kept = [check for check in earlier.checks if check.check_id != entry.check_id]
    return History((*kept, entry)[-_MAX_HISTORY:])
