"""Write what a check found as a report for people, and as what the API shows."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from noria.monitoring.retraining import shown_performance
from noria.ports import MonitoredStore
from noria.reporting.monitoring_report import render
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    CURRENT,
    DRIFT,
    PERFORMANCE,
    REPORT_HTML,
    REPORT_JSON,
    RETRAINING,
    check_key,
    monitoring_key,
)

HISTORY = "history.json"
_MAX_HISTORY = 120  # checks in the picture and in `history.json`

Health = Literal["healthy", "unhealthy", "insufficient_data"]


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


def write_monitoring_report(
    request: WriteMonitoringReportRequest, *, spec: ProjectSpec, store: MonitoredStore
) -> WriteMonitoringReportResult:
    """Gather the check's findings; write its report, and what the API answers with.

    Reads the check's three files and the history of checks; writes `report.html`, `report.json`,
    `current.json` and `history.json` under `monitoring/<project>/`.
    """
    found = {
        name: json.loads(store.get(check_key(spec.name, request.check_id, file)))
        for name, file in (
            ("drift", DRIFT),
            ("performance", PERFORMANCE),
            ("retraining", RETRAINING),
        )
    }
    health = _health(found)
    document: dict[str, Any] = {
        "project": spec.name,
        "check_id": request.check_id,
        "at": found["drift"]["at"],
        "health": health,
        **found,
        "metrics": _metrics(found),
    }
    history = _history(spec.name, store, document)
    key = check_key(spec.name, request.check_id, REPORT_HTML)
    store.put(key, render({**document, "history": history}))
    body = canonical_json(document | {"report_key": key})
    store.put(check_key(spec.name, request.check_id, REPORT_JSON), body)
    store.put(monitoring_key(spec.name, HISTORY), canonical_json(history))
    store.put(monitoring_key(spec.name, CURRENT), body)
    return WriteMonitoringReportResult(health, _summary(found), key)


def _health(found: dict[str, Any]) -> Health:
    performance = found["performance"]
    verdicts = {found["drift"]["verdict"], performance["verdict"], performance["estimated_verdict"]}
    if verdicts & {"drift", "degraded"}:
        return "unhealthy"
    return "insufficient_data" if verdicts == {"insufficient_data"} else "healthy"


def _summary(found: dict[str, Any]) -> str:
    performance, parts = found["performance"], []
    parts += [finding["text"] for finding in found["drift"]["confirmed"][:4]]
    for kind, verdict in (("realised", "verdict"), ("estimated", "estimated_verdict")):
        if performance[verdict] == "degraded":
            parts.append(shown_performance(performance[kind][performance["primary_metric"]]))
    n_rows = found["drift"]["windows"]["long"]["n_rows"]
    where = f"{n_rows} answers in {found['drift']['window_hours']} h"
    if not parts:
        is_known = found["drift"]["verdict"] == "stable"
        parts = ["nothing has moved" if is_known else "insufficient data, which is not 'no drift'"]
    return f"{'; '.join(parts)} ({where}). {found['retraining']['summary']}"


def _metrics(found: dict[str, Any]) -> dict[str, Any]:
    """Return the day in numbers: how many answers of which class, how sure, how fast."""
    drift, performance = found["drift"], found["performance"]
    columns, hours = drift["columns"], drift["window_hours"]
    predicted = columns["(prediction)"]["now"]
    metrics: dict[str, Any] = {
        "date": drift["at"][:10],
        "window_hours": hours,
        "total_predictions": predicted["n"],
        "predictions_per_hour": predicted["n"] / hours,
        "latency_ms": drift["latency_ms"],
        "n_failed": drift["n_failed"],
        "total_labeled": performance["n_labels"],
    }
    if "levels" in predicted:
        metrics["predictions_by_class"] = predicted["levels"]
        metrics["average_confidence"] = columns["(confidence)"]["now"]["mean"]
    else:
        metrics |= {name: predicted[name] for name in ("mean", "std", "quantiles")}
    metrics |= {name: value["value"] for name, value in performance["realised"].items()}
    return metrics


def _history(project: str, store: MonitoredStore, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the last checks with this one, oldest first; a check run again counts once."""
    try:
        earlier = json.loads(store.get(monitoring_key(project, HISTORY)))
    except KeyError:
        earlier = []
    performance = document["performance"]
    primary = performance["primary_metric"]
    entry = {
        "check_id": document["check_id"],
        "at": document["at"],
        "model_version": document["drift"]["model_version"],
        "verdict": document["drift"]["verdict"],
        "health": document["health"],
        "retrain": document["retraining"]["retrain"],
        "realised": performance["realised"].get(primary),
        "estimated": performance["estimated"].get(primary),
    }
    kept = [check for check in earlier if check["check_id"] != entry["check_id"]]
    return [*kept, entry][-_MAX_HISTORY:]
