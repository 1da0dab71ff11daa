"""Publish an alert once: claim the incident, publish, mark it as published."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from noria.errors import StoreUnavailableError
from noria.ports import AlertTopic, Claims, Clock
from noria.records.alert import is_loud_enough, make_alert
from noria.spec.model import ProjectSpec
from noria.storage.hours import hour_name

_LEASE_SECONDS = 5.0  # after which a claim whose owner has died is free; retries last longer
_SHOWN_CHARACTERS = 1500

Fate = Literal["published", "duplicate", "below_level", "over_cap", "nothing_to_resolve"]


@dataclass(frozen=True)
class RaiseAlertRequest:
    """What happened."""

    project: str
    event: str  # of `noria.records.alert.EVENTS`
    summary: str
    occurrence: str  # the run or check that says it: the same one twice is one alert
    incident: str | None = None  # what stays wrong until it is resolved: told once while open
    resolves: str | None = None  # the incident that this event ends
    report_key: str | None = None


@dataclass(frozen=True)
class RaiseAlertResult:
    """What became of it."""

    fate: Fate
    alert_id: str


def raise_alert(
    request: RaiseAlertRequest,
    *,
    spec: ProjectSpec,
    claims: Claims,
    topic: AlertTopic,
    clock: Clock,
) -> RaiseAlertResult:
    """Publish an alert unless it was published before, is below the level, or is over the cap.

    An incident is published when it opens and when it is resolved. The claim is finished only
    after the message is out: if a process dies in between, the next one publishes it again, so
    nothing is lost.

    Raises
    ------
    StoreUnavailableError
        Another process is publishing it right now; retry.
    """
    now, owner = clock.now(), secrets.token_hex(8)
    alert = make_alert(
        f"{request.project}-{request.incident or request.event}-{request.occurrence}",
        request.project,
        request.event,
        request.summary[:_SHOWN_CHARACTERS],
        links=_links(request),
        at=now.isoformat(),
    )
    key = f"alert#{request.incident or alert.alert_id}"
    resolved = f"alert#{request.resolves}"
    if request.resolves and not _is_open(spec.name, resolved, owner, claims, now):
        return RaiseAlertResult("nothing_to_resolve", alert.alert_id)
    state = claims.claim(spec.name, key, owner, now, _LEASE_SECONDS)
    if state == "done":
        if request.resolves:  # published by a process that died afterwards
            claims.release(spec.name, resolved)
        return RaiseAlertResult("duplicate", alert.alert_id)
    if state == "held":
        raise StoreUnavailableError(f"{key}: another process is publishing it", key=key)
    fate: Fate = "published"
    if not is_loud_enough(alert.level, spec.alerts.min_level):
        fate = "below_level"
    else:
        count = claims.count(spec.name, f"alerts#{hour_name(now)}", alert.alert_id, now)
        n_before = count - 1 - spec.alerts.max_per_hour  # held back in this hour
        if n_before >= 0 and alert.level != "critical":
            fate = "over_cap"
        else:
            topic.publish(replace(alert, n_suppressed=max(0, n_before)))
    if fate == "over_cap" and request.incident:
        claims.release(spec.name, key)  # still to be told
    else:
        claims.finish(spec.name, key, owner)
    if request.resolves:  # only now that it is told
        claims.release(spec.name, resolved)
    return RaiseAlertResult(fate, alert.alert_id)


def _is_open(project: str, key: str, owner: str, claims: Claims, now: datetime) -> bool:
    """Return whether an incident was told and not resolved; what is not there stays so."""
    state = claims.claim(project, key, owner, now, 0.0)
    if state == "held":
        raise StoreUnavailableError(f"{key}: another process is publishing it", key=key)
    if state == "won":
        claims.release(project, key)
    return state == "done"


def _links(request: RaiseAlertRequest) -> dict[str, str]:
    report = {"report": request.report_key} if request.report_key else {}
    return {**report, "history": f"noria history {request.project}"}
