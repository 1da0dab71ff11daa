"""Alerts raised on a project in memory."""

from noria.ports import AlertTopic
from noria.records.alert import Alert
from noria.spec.model import ProjectSpec
from noria.steps.raise_alert import RaiseAlertRequest, raise_alert
from tests.support.fakes import FixedClock, MemoryClaims
from tests.support.ports import implements


@implements(AlertTopic)
class Topic:
    """`AlertTopic` in a list; may die before or after the publication."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.dies = ""

    def publish(self, alert: Alert) -> None:
        """Keep the alert."""
        if self.dies == "before":
            raise KeyboardInterrupt
        self.alerts.append(alert)
        if self.dies == "after":
            raise KeyboardInterrupt


type World = tuple[ProjectSpec, MemoryClaims, Topic, FixedClock]


def raised(world: World, event: str = "ModelUnhealthy", occurrence: str = "c1", **more: str) -> str:
    """Raise an alert; return its fate."""
    spec, claims, topic, clock = world
    request = RaiseAlertRequest("loans", event, "x moved", occurrence, **more)
    return raise_alert(request, spec=spec, claims=claims, topic=topic, clock=clock).fate
