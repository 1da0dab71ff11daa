"""What the last monitoring check found, as the API shows it. Standard library only."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from noria.api.bodies import Shown, invalid
from noria.errors import NoCheckError
from noria.monitoring.baseline import write_baseline
from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.records.check import Baseline, CheckReport
from noria.records.codec import encode, from_bytes
from noria.records.drift import ColumnSummary, DriftReport
from noria.reporting.words import finding_text, suspicion_text
from noria.storage.keys import CURRENT, monitoring_key

_MAX_BASELINE_HOURS = 168


def last_check(artifacts: ArtifactStore, project: str, part: str) -> Shown:
    """Return a part of the last check: "drift", "metrics", "features" or "performance".

    Raises
    ------
    NoCheckError
        No check has been made.
    """
    try:
        report = from_bytes(CheckReport, artifacts.get(monitoring_key(project, CURRENT)))
    except KeyError as error:
        raise NoCheckError(
            f"no monitoring check has run yet for project '{project}'; its schedule starts one, "
            f"or: noria monitor {project}",
            project=project,
        ) from error
    shown: Shown = {
        "project": report.project,
        "check_id": report.check_id,
        "at": report.at,
        "health": report.health,
        "report_key": report.report_key,
    }
    if part == "metrics":
        return {**shown, **report.metrics}
    if part == "performance":
        return {**shown, **encode(report.performance)}
    if part == "features":
        version = report.drift.model_version
        return shown | {"model_version": version, "features": _features(report.drift)}
    return shown | _drift(report)


def _drift(report: CheckReport) -> Shown:
    """Return the findings with their texts, and what was decided, without the columns."""
    drift = encode(replace(report.drift, columns={}))
    del drift["columns"]
    found, needed = report.drift, report.drift.n_windows_needed
    texts = [finding_text(finding) for finding in found.confirmed]
    texts += [suspicion_text(finding, needed) for finding in found.suspected]
    for text, shown in zip(texts, (*drift["confirmed"], *drift["suspected"]), strict=True):
        shown["text"] = text
        del shown["column"], shown["rule"]
    retraining = report.retraining
    decided = {
        "retrain": retraining.retrain,
        "codes": retraining.codes,
        "summary": retraining.summary,
    }
    return drift | {"drift_detected": report.drift.verdict == "drift", "retraining": decided}


def _features(drift: DriftReport) -> Shown:
    """Return each column then and now, without its bins, and whether it drifted."""
    drifted = {finding.name for finding in drift.confirmed}
    return {
        name: {
            "then": _column(column.then),
            "now": _column(column.now),
            "drift_detected": name in drifted,
        }
        for name, column in drift.columns.items()
    }


def _column(column: ColumnSummary) -> Shown:
    hidden = ("edges", "counts")
    return {k: v for k, v in vars(column).items() if v is not None and k not in hidden}


def set_baseline(
    project: str,
    body: Any,
    *,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    clock: Clock,
) -> Shown:
    """Declare the champion's traffic of the last hours normal: drift is measured against it.

    Parameters
    ----------
    body : JSON value
        {"hours": 1 to 168}, or nothing for 24.

    Notes
    -----
    It holds until the next promotion. Errors of the model are not normal: performance is still
    held against training.
    """
    hours = 24 if body in (None, {}) else body.get("hours") if isinstance(body, Mapping) else None
    if type(hours) is not int or not 1 <= hours <= _MAX_BASELINE_HOURS:  # true is no number
        raise invalid("hours", f"must be a number from 1 to {_MAX_BASELINE_HOURS}")
    now = clock.now()
    baseline = Baseline(
        model_version=aliases.read(project).require_champion(),
        from_at=(now - timedelta(hours=hours)).isoformat(),
        to_at=now.isoformat(),
    )
    write_baseline(artifacts, project, baseline)
    return {"project": project, **vars(baseline)}
