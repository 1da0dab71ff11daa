"""What the last monitoring check found, as the API shows it. Standard library only."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from math import isfinite
from typing import Any

from noria.api.bodies import Given, Shown, invalid
from noria.errors import NoCheckError
from noria.monitoring.baseline import write_baseline
from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.records.check import Baseline, CheckReport
from noria.records.codec import encode, from_bytes
from noria.records.drift import ColumnSummary, DriftReport, ThenAndNow
from noria.reporting.words import finding_text, suspicion_text
from noria.storage.keys import CURRENT, metrics_key, monitoring_key

MAX_BASELINE_HOURS = 168
MAX_DEVIATIONS = 1000.0
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NOTHING: Mapping[str, str] = {}


def last_check(
    artifacts: ArtifactStore, project: str, part: str, query: Mapping[str, str] = _NOTHING
) -> Shown:
    """Return a part of the last check: "drift", "metrics", "features" or "performance".

    Parameters
    ----------
    query : mapping
        Of metrics a `date`, YYYY-MM-DD: that day instead of the last one. Of features a
        `threshold`: a mean that has moved by more deviations of training is told. Of features and
        drift a `window`, "short" or "long": what is shown is of its tests.

    Raises
    ------
    NoCheckError
        No check has been made.
    """
    if "date" in query:
        return _day(artifacts, project, query["date"])
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
        last = [encode(answer) for answer in report.performance.last_answers]
        return {**shown, **report.metrics, "last_answers": last}
    if part == "performance":
        # Who has a user key is not told of the files of others.
        found = encode(replace(report.performance, jobs=(), changed_jobs=()))
        del found["last_answers"]  # they are in the metrics
        return {**shown, **found, "n_jobs": len(report.performance.jobs)}
    if part == "features":
        version = report.drift.model_version
        threshold = _threshold(query["threshold"]) if "threshold" in query else None
        features = _features(report.drift, threshold, _window(query) or "long")
        return shown | {"model_version": version, "features": features}
    found = _drift(report)
    if window := _window(query):
        found["windows"] = {window: found["windows"][window]}
    return shown | found


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


def _day(artifacts: ArtifactStore, project: str, date: str) -> Shown:
    """Return a day in numbers, as its last check had it."""
    if not DATE.fullmatch(date):
        raise invalid("date", "must be YYYY-MM-DD")
    try:
        found: Given = json.loads(artifacts.get(metrics_key(project, date)))
    except KeyError as error:
        raise NoCheckError(
            f"project '{project}' was not checked on {date}", project=project
        ) from error
    return {"project": project, **found}


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < MAX_DEVIATIONS:
        raise invalid("threshold", "must be a number of deviations above 0")
    return value


def _window(query: Mapping[str, str]) -> str | None:
    """Return which window was asked for; None for both."""
    window = query.get("window")
    if window not in (None, "short", "long"):
        raise invalid("window", "must be short or long")
    return window


def _features(drift: DriftReport, threshold: float | None, window: str) -> Shown:
    """Return each column then and now, without its bins, and how far it has moved.

    `scores` are the effects of the tests on a window, "now" is the long one; `shift` is how far the
    mean has moved, in deviations of training.
    """
    drifted = {finding.name for finding in drift.confirmed}
    scores: dict[str, dict[str, float]] = {}
    for finding in dict(drift.windows.named())[window].findings:
        scores.setdefault(finding.column, {})[finding.statistic] = finding.effect
    shown = {}
    for name, column in drift.columns.items():
        shift = _shift(column)
        shown[name] = {
            "then": _column(column.then),
            "now": _column(column.now),
            "drift_detected": name in drifted,
            "scores": scores.get(name, {}),
            "shift": shift,
        }
        if threshold is not None:
            shown[name]["is_beyond_threshold"] = shift is not None and abs(shift) > threshold
    return shown


def _shift(column: ThenAndNow) -> float | None:
    """Return how far a column's mean has moved, in deviations; None where it has none."""
    then, now = column.then, column.now
    if then.mean is None or now.mean is None or not then.std:
        return None
    shift = (now.mean - then.mean) / then.std
    return shift if isfinite(shift) else None


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
    if not (body is None or isinstance(body, Mapping)) or set(body or ()) - {"hours"}:
        raise invalid("body", 'must be {"hours"?: number}')
    hours = (body or {}).get("hours", 24)
    if type(hours) is not int or not 1 <= hours <= MAX_BASELINE_HOURS:  # true is no number
        raise invalid("hours", f"must be a number from 1 to {MAX_BASELINE_HOURS}")
    now = clock.now()
    baseline = Baseline(
        model_version=aliases.read(project).require_champion(),
        from_at=(now - timedelta(hours=hours)).isoformat(),
        to_at=now.isoformat(),
    )
    write_baseline(artifacts, project, baseline)
    return {"project": project, **vars(baseline)}
