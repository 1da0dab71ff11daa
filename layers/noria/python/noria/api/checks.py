"""What the last monitoring check found, as the API shows it. Standard library only."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from noria.errors import InvalidInputError, NoChampionError, NoCheckError
from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.storage.hashing import canonical_json
from noria.storage.keys import BASELINE, CURRENT, monitoring_key

_MAX_BASELINE_HOURS = 168


def last_check(artifacts: ArtifactStore, project: str, part: str) -> dict[str, Any]:
    """Return a part of the last check: "drift", "metrics", "features" or "performance".

    Raises
    ------
    NoCheckError
        No check has been made.
    """
    try:
        document = json.loads(artifacts.get(monitoring_key(project, CURRENT)))
    except KeyError as error:
        raise NoCheckError(
            f"project '{project}' has not been checked yet; its schedule will, or: "
            f"noria monitor {project}",
            project=project,
        ) from error
    shown: dict[str, Any] = {
        name: document[name] for name in ("project", "check_id", "at", "health", "report_key")
    }
    if part == "metrics":
        return {**shown, **document["metrics"]}
    if part == "performance":
        return {**shown, **document["performance"]}
    drift = document["drift"]
    if part == "features":
        return shown | {"model_version": drift["model_version"], "features": _features(drift)}
    kept = {name: value for name, value in drift.items() if name != "columns"}
    decided = {name: document["retraining"][name] for name in ("retrain", "codes", "summary")}
    return shown | kept | {"drift_detected": drift["verdict"] == "drift", "retraining": decided}


def _features(drift: Mapping[str, Any]) -> dict[str, Any]:
    """Return each column then and now, without its bins, and whether it drifted."""
    drifted = {finding["name"] for finding in drift["confirmed"]}
    features = {}
    for name, column in drift["columns"].items():
        sides = {
            side: {k: v for k, v in column[side].items() if k not in ("edges", "counts")}
            for side in ("then", "now")
        }
        features[name] = {**sides, "drift_detected": name in drifted}
    return features


def set_baseline(
    project: str,
    body: Any,
    *,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    clock: Clock,
) -> dict[str, Any]:
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
        reason = f"must be a number from 1 to {_MAX_BASELINE_HOURS}"
        raise InvalidInputError(
            f"the request cannot be read: hours: {reason}",
            errors=[{"field": "hours", "reason": reason}],
        )
    champion, now = aliases.read(project).champion, clock.now()
    if champion is None:
        raise NoChampionError(f"project '{project}' has no champion yet", project=project)
    baseline = {
        "model_version": champion,
        "from_at": (now - timedelta(hours=hours)).isoformat(),
        "to_at": now.isoformat(),
    }
    artifacts.put(monitoring_key(project, BASELINE), canonical_json(baseline))
    return {"project": project, **baseline}


def baseline_window(baseline: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the start and end of a baseline."""
    return datetime.fromisoformat(baseline["from_at"]), datetime.fromisoformat(baseline["to_at"])
