"""Deliver one alert to the channels of its project, each at least once, shown once."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from noria.errors import NoriaError, StoreUnavailableError
from noria.ports import Claims, Clock, Webhooks
from noria.records.alert import alert_from_dict
from noria.reporting.chats import MESSAGES
from noria.spec.model import ProjectSpec

_LEASE_SECONDS = 60.0  # longer than a service may take to answer


@dataclass(frozen=True)
class NotifyRequest:
    """The alert, as it was published."""

    alert: dict[str, object]


@dataclass(frozen=True)
class NotifyResult:
    """What each channel got: "sent", or "duplicate" where it had it."""

    channels: dict[str, str]


def notify(
    request: NotifyRequest,
    *,
    spec: ProjectSpec,
    claims: Claims,
    webhooks: Webhooks,
    clock: Clock,
) -> NotifyResult:
    """Send the alert to every channel that has not had it.

    Raises
    ------
    StoreUnavailableError
        A channel did not take it; the queue delivers the alert again, and the channels that took
        it are left alone then.
    """
    alert, owner = alert_from_dict(request.alert), secrets.token_hex(8)
    fates: dict[str, str] = {}
    faults: Mapping[str, str] = {}
    for channel in spec.alerts.channels:
        key = f"delivery#{alert.alert_id}#{channel}"
        state = claims.claim(spec.name, key, owner, clock.now(), _LEASE_SECONDS)
        if state == "done":
            fates[channel] = "duplicate"
            continue
        if state == "held":
            faults = {**faults, channel: "another process is sending it"}
            continue
        try:
            webhooks.send(spec.name, channel, MESSAGES[channel](alert))
        except NoriaError as error:  # of one channel: the others must have theirs
            claims.release(spec.name, key)
            faults = {**faults, channel: error.message}
            continue
        claims.finish(spec.name, key, owner)
        fates[channel] = "sent"
    if faults:
        raise StoreUnavailableError(f"{alert.alert_id}: not delivered: {faults}", faults=faults)
    return NotifyResult(fates)
