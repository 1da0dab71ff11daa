"""Tell people once: claim the incident, publish, remember that it was told."""

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
    """Publish an alert, unless it was told already, is too quiet, or is one too many.

    An incident is told when it opens and when it is resolved. The claim is finished only after
    the message is out: a process that dies in between lets the next one say it again, so nothing
    is lost.

    Raises
    ------
    StoreUnavailableError
        Another process is saying it right now; ask again.
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
        if request.resolves:  # told by a process that died behind it
            claims.release(spec.name, resolved)
        return RaiseAlertResult("duplicate", alert.alert_id)
    if state == "held":
        raise StoreUnavailableError(f"{key}: another process is telling it", key=key)
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
        raise StoreUnavailableError(f"{key}: another process is telling it", key=key)
    if state == "won":
        claims.release(project, key)
    return state == "done"


def _links(request: RaiseAlertRequest) -> dict[str, str]:
    report = {"report": request.report_key} if request.report_key else {}
    return {**report, "history": f"noria history {request.project}"}
