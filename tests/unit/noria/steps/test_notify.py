"""Alerts delivered to each channel, at least once and shown once."""

import random
from datetime import timedelta

import pytest

from noria.errors import SettingsError, StoreUnavailableError
from noria.steps.notify import NotifyRequest, notify
from tests.support.alerts import raised
from tests.support.production import loan_spec


def test_a_sender_that_dies_shows_it_at_most_once_more(world):
    """Killed between the sending and its note."""
    _, claims, topic, clock = world
    spec = loan_spec(alerts={"channels": ("slack",)})
    raised((spec, claims, topic, clock))
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
    raised((spec, claims, topic, clock))
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
            raised((spec, claims, topic, clock), "ChampionKept", f"run-{n:04d}")
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
