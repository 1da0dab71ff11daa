"""Tell people once: claim the incident, publish, remember that it was told."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from noria.alerts import is_loud_enough, make_alert
from noria.errors import StoreUnavailableError
from noria.ports import AlertTopic, Claims, Clock
from noria.spec.model import ProjectSpec

_LEASE_SECONDS = 5.0  # after which a claim whose owner has died is free; retries last longer
_SHOWN_CHARACTERS = 1500

Fate = Literal["published", "duplicate", "below_level", "over_cap", "nothing_to_resolve"]


@dataclass(frozen=True)
class RaiseAlertRequest:
    """What happened."""

    project: str
    event: str  # of `noria.alerts.EVENTS`
    summary: str
    occurrence: str  # the run or check that says it: the same one twice is one alert
    incident: str | None = None  # what stays wrong until it is resolved: told once while open
    resolves: str | None = None  # the incident that this event ends
    report_key: str | None = None
    links: dict[str, str] | None = None  # label: place


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
    if request.resolves and not claims.release(spec.name, f"alert#{request.resolves}"):
        return RaiseAlertResult("nothing_to_resolve", alert.alert_id)
    state = claims.claim(spec.name, key, owner, now, _LEASE_SECONDS)
    if state == "done":
        return RaiseAlertResult("duplicate", alert.alert_id)
    if state == "held":
        raise StoreUnavailableError(f"{key}: another process is telling it", key=key)
    fate: Fate = "published"
    if not is_loud_enough(alert.level, spec.alerts.min_level):
        fate = "below_level"
    else:
        count = claims.count(spec.name, f"alerts#{_hour(now)}", request.occurrence)
        held_back = count - spec.alerts.max_per_hour
        if held_back > 0 and alert.level != "critical":
            fate = "over_cap"
        else:
            topic.publish(replace(alert, n_suppressed=max(0, held_back)))
    claims.finish(spec.name, key, owner)
    return RaiseAlertResult(fate, alert.alert_id)


def _links(request: RaiseAlertRequest) -> dict[str, str]:
    links = dict(request.links or {})
    if request.report_key:
        links["report"] = request.report_key
    links["history"] = f"noria history {request.project}"
    return links


def _hour(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H")
