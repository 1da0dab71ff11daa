import random
from datetime import timedelta

import pytest

from noria.errors import SettingsError, StoreUnavailableError
from noria.records.alert import EVENTS
from noria.steps.notify import NotifyRequest, notify
from noria.steps.raise_alert import RaiseAlertRequest, raise_alert
from tests.support.fakes import FixedClock, MemoryClaims
from tests.support.production import START, loan_spec


class _Topic:
    """`AlertTopic` in a list; may die before or behind the publication."""

    def __init__(self):
        self.alerts, self.dies = [], ""

    def publish(self, alert):
        if self.dies == "before":
            raise KeyboardInterrupt
        self.alerts.append(alert)
        if self.dies == "behind":
            raise KeyboardInterrupt


@pytest.fixture
def world():
    """A spec, claims, a topic and a clock."""
    return loan_spec(), MemoryClaims(), _Topic(), FixedClock(START)


def _raise(world, event="ModelUnhealthy", occurrence="c1", **more):
    spec, claims, topic, clock = world
    request = RaiseAlertRequest("loans", event, "x moved", occurrence, **more)
    return raise_alert(request, spec=spec, claims=claims, topic=topic, clock=clock).fate


def test_an_alert_says_what_happened_and_what_to_do(world):
    """With links, in words."""
    assert _raise(world, report_key="monitoring/loans/checks/c1/report.html") == "published"
    (alert,) = world[2].alerts
    assert alert.text == "x moved"
    assert "What to do: See the report: noria drift loans" in alert.plain()
    assert "monitoring/loans/checks/c1/report.html" in alert.plain()
    assert alert.subject().isascii()


def test_the_same_occurrence_is_told_once(world):
    """Step Functions may run a task twice."""
    assert [_raise(world) for _ in range(3)] == ["published", "duplicate", "duplicate"]


def test_an_incident_is_told_when_it_opens_and_when_it_ends(world):
    """Not every hour while it lasts; again when it comes back."""
    opened = [_raise(world, occurrence=f"c{n}", incident="health") for n in range(5)]
    assert opened == ["published", *["duplicate"] * 4]
    assert _raise(world, "ModelHealthy", "c6", resolves="health") == "published"
    assert _raise(world, "ModelHealthy", "c7", resolves="health") == "nothing_to_resolve"
    assert _raise(world, occurrence="c8", incident="health") == "published"
    assert [a.event for a in world[2].alerts] == [
        "ModelUnhealthy",
        "ModelHealthy",
        "ModelUnhealthy",
    ]


@pytest.mark.parametrize("dies", ["before", "behind"])
def test_a_process_that_dies_while_telling_loses_nothing(world, dies):
    """At least once; at most once more for the kill."""
    world[2].dies = dies
    with pytest.raises(KeyboardInterrupt):
        _raise(world)
    world[2].dies = ""
    with pytest.raises(StoreUnavailableError):  # its lease still runs: retried
        _raise(world)
    world[3].at += timedelta(seconds=6)
    assert _raise(world) == "published"
    assert len(world[2].alerts) == (1 if dies == "before" else 2)


def test_an_hour_has_a_cap_and_the_next_alert_says_what_it_held_back(world):
    """A critical one goes through."""
    spec = loan_spec(alerts={"max_per_hour": 3})
    capped = (spec, *world[1:])
    fates = [_raise(capped, "RunFailed" if n == 5 else "ChampionKept", f"r{n}") for n in range(6)]
    assert fates == ["published"] * 3 + ["over_cap"] * 2 + ["published"]
    assert world[2].alerts[-1].n_suppressed == 2
    world[3].at += timedelta(hours=1)
    assert _raise(capped, "ChampionKept", "r9") == "published"


def test_an_incident_over_the_cap_is_told_later(world):
    """Held back is not told: while it is open it is tried again."""
    spec = loan_spec(alerts={"max_per_hour": 1})
    capped = (spec, *world[1:])
    assert _raise(capped, "ChampionKept", "r0") == "published"
    assert _raise(capped, occurrence="c1", incident="health") == "over_cap"
    world[3].at += timedelta(hours=1)
    assert _raise(capped, occurrence="c2", incident="health") == "published"


@pytest.mark.parametrize("dies", ["before", "behind"])
def test_a_resolution_that_dies_while_it_is_told_is_told(world, dies):
    """And the incident is closed in the end."""
    _raise(world, incident="health")
    world[2].dies = dies
    with pytest.raises(KeyboardInterrupt):
        _raise(world, "ModelHealthy", "c2", resolves="health")
    world[2].dies = ""
    world[3].at += timedelta(seconds=6)
    assert _raise(world, "ModelHealthy", "c2", resolves="health") == "published"
    assert _raise(world, "ModelHealthy", "c3", resolves="health") == "nothing_to_resolve"


def test_quiet_levels_are_left_out_where_the_spec_says_so(world):
    """Warnings and worse."""
    spec = loan_spec(alerts={"min_level": "warning"})
    assert _raise((spec, *world[1:]), "TrainingStarted", "r1") == "below_level"
    assert _raise((spec, *world[1:]), "ChampionKept", "r1") == "published"


def test_every_event_has_a_title_and_advice():
    """Nobody is told without being told what to do."""
    for event in EVENTS.values():
        assert event.title
        assert event.advice.format(project="p")


class _Flaky:
    """`Webhooks` that fail three times of ten; what they took is shown."""

    def __init__(self, rng):
        self._rng, self.shown = rng, []

    def send(self, project, channel, message):
        if self._rng.random() < 0.3:
            raise StoreUnavailableError("500")
        self.shown.append((channel, str(message)))


def test_a_thousand_incidents_delivered_five_times_with_failing_channels_are_shown_once(world):
    """Each at least once, each at most once, in two channels."""
    _, claims, topic, clock = world
    spec = loan_spec(alerts={"channels": ("slack", "discord"), "max_per_hour": 1000})
    for n in range(1000):
        for _ in range(5):
            _raise((spec, claims, topic, clock), "ChampionKept", f"run-{n:04d}")
    assert len(topic.alerts) == 1000
    rng = random.Random(1)
    queue = [alert.to_dict() for alert in topic.alerts for _ in range(5)]
    rng.shuffle(queue)
    webhooks, pending = _Flaky(rng), queue
    while pending:  # the queue delivers again what failed
        failed = []
        for alert in pending:
            try:
                notify(
                    NotifyRequest(alert), spec=spec, claims=claims, webhooks=webhooks, clock=clock
                )
            except StoreUnavailableError:
                failed.append(alert)
        pending = failed
    # Their text is the same; the links and ids are not in every message, so count by channel.
    assert len(webhooks.shown) == 2000
    assert sum(channel == "slack" for channel, _ in webhooks.shown) == 1000


def test_a_sender_that_dies_shows_it_at_most_once_more(world):
    """Killed between the sending and its note."""
    _, claims, topic, clock = world
    spec = loan_spec(alerts={"channels": ("slack",)})
    _raise((spec, claims, topic, clock))
    (alert,) = topic.alerts
    shown = []

    class _Dying:
        def send(self, project, channel, message):
            shown.append(message)
            if len(shown) == 1:
                raise KeyboardInterrupt

    def deliver():
        return notify(
            NotifyRequest(alert.to_dict()), spec=spec, claims=claims, webhooks=_Dying(), clock=clock
        )

    with pytest.raises(KeyboardInterrupt):
        deliver()
    with pytest.raises(StoreUnavailableError):
        deliver()  # another process may still be sending
    clock.at += timedelta(seconds=61)
    assert deliver().channels == {"slack": "sent"}
    assert deliver().channels == {"slack": "duplicate"}
    assert len(shown) == 2


def test_a_channel_that_refuses_for_good_does_not_silence_the_others(world):
    """A revoked address is its own trouble."""
    _, claims, topic, clock = world
    spec = loan_spec(alerts={"channels": ("slack", "discord")})
    _raise((spec, claims, topic, clock))
    shown = []

    class _Revoked:
        def send(self, project, channel, message):
            if channel == "slack":
                raise SettingsError("slack answered 404: check the secret")
            shown.append(channel)

    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="slack"):
            notify(
                NotifyRequest(topic.alerts[0].to_dict()),
                spec=spec, claims=claims, webhooks=_Revoked(), clock=clock,
            )  # fmt: skip
    assert shown == ["discord"]
