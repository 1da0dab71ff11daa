"""Alerts published once: incidents, caps, levels, deaths in between."""

from datetime import timedelta

import pytest

from noria.errors import StoreUnavailableError
from noria.records.alert import EVENTS
from tests.support.alerts import raised
from tests.support.production import loan_spec


def test_an_alert_says_what_happened_and_what_to_do(world):
    """With links, in words."""
    assert raised(world, report_key="monitoring/loans/checks/c1/report.html") == "published"
    (alert,) = world[2].alerts
    assert alert.text == "x moved"
    assert "What to do: See the report: noria drift loans" in alert.plain()
    assert "monitoring/loans/checks/c1/report.html" in alert.plain()
    assert alert.subject().isascii()


def test_the_same_occurrence_is_told_once(world):
    """Step Functions may run a task twice."""
    assert [raised(world) for _ in range(3)] == ["published", "duplicate", "duplicate"]


def test_an_incident_is_told_when_it_opens_and_when_it_ends(world):
    """Not every hour while it lasts; again when it comes back."""
    opened = [raised(world, occurrence=f"c{n}", incident="health") for n in range(5)]
    assert opened == ["published", *["duplicate"] * 4]
    assert raised(world, "ModelHealthy", "c6", resolves="health") == "published"
    assert raised(world, "ModelHealthy", "c7", resolves="health") == "nothing_to_resolve"
    assert raised(world, occurrence="c8", incident="health") == "published"
    assert [a.event for a in world[2].alerts] == [
        "ModelUnhealthy",
        "ModelHealthy",
        "ModelUnhealthy",
    ]


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_process_that_dies_while_telling_loses_nothing(world, dies):
    """At least once; at most once more for the kill."""
    world[2].dies = dies
    with pytest.raises(KeyboardInterrupt):
        raised(world)
    world[2].dies = ""
    with pytest.raises(StoreUnavailableError):  # its lease still runs: retried
        raised(world)
    world[3].at += timedelta(seconds=6)
    assert raised(world) == "published"
    assert len(world[2].alerts) == (1 if dies == "before" else 2)


def test_an_hour_has_a_cap_and_the_next_alert_says_what_it_held_back(world):
    """A critical one goes through."""
    spec = loan_spec(alerts={"max_per_hour": 3})
    capped = (spec, *world[1:])
    fates = [raised(capped, "RunFailed" if n == 5 else "ChampionKept", f"r{n}") for n in range(6)]
    assert fates == ["published"] * 3 + ["over_cap"] * 2 + ["published"]
    assert world[2].alerts[-1].n_suppressed == 2
    world[3].at += timedelta(hours=1)
    assert raised(capped, "ChampionKept", "r9") == "published"


def test_an_incident_over_the_cap_is_told_later(world):
    """Held back is not told: while it is open it is tried again."""
    spec = loan_spec(alerts={"max_per_hour": 1})
    capped = (spec, *world[1:])
    assert raised(capped, "ChampionKept", "r0") == "published"
    assert raised(capped, occurrence="c1", incident="health") == "over_cap"
    world[3].at += timedelta(hours=1)
    assert raised(capped, occurrence="c2", incident="health") == "published"


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_resolution_that_dies_while_it_is_told_is_told(world, dies):
    """And the incident is closed in the end."""
    raised(world, incident="health")
    world[2].dies = dies
    with pytest.raises(KeyboardInterrupt):
        raised(world, "ModelHealthy", "c2", resolves="health")
    world[2].dies = ""
    world[3].at += timedelta(seconds=6)
    assert raised(world, "ModelHealthy", "c2", resolves="health") == "published"
    assert raised(world, "ModelHealthy", "c3", resolves="health") == "nothing_to_resolve"


def test_quiet_levels_are_left_out_where_the_spec_says_so(world):
    """Warnings and worse."""
    spec = loan_spec(alerts={"min_level": "warning"})
    assert raised((spec, *world[1:]), "TrainingStarted", "r1") == "below_level"
    assert raised((spec, *world[1:]), "ChampionKept", "r1") == "published"


def test_every_event_has_a_title_and_advice():
    """Every alert says what to do."""
    for event in EVENTS.values():
        assert event.title
        assert event.advice.format(project="p")
