import json
from datetime import timedelta

import pytest

from noria.api.checks import last_check, set_baseline
from noria.errors import InvalidInputError, NoChampionError, NoCheckError
from tests.support.checks import drifting, whole_check
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts
from tests.support.production import START, Production


def test_before_the_first_check_it_is_said_how_to_make_one():
    """Not an empty object."""
    with pytest.raises(NoCheckError, match="noria monitor loans"):
        last_check(MemoryArtifacts(), "loans", "drift")


def _baseline(body, p=None):
    p = p or Production()
    return set_baseline(
        "loans", body, artifacts=p.store, aliases=p.aliases, clock=FixedClock(START)
    )


@pytest.mark.parametrize("body", [None, {}, {"hours": 24}])
def test_a_day_is_the_default(body):
    """Of the champion's traffic."""
    found = _baseline(body)
    assert (found["model_version"], found["from_at"][:13]) == ("v1", "2026-02-28T00")


@pytest.mark.parametrize(
    "body", [{"hours": 0}, {"hours": 169}, {"hours": True}, {"hours": "x"}, []]
)
def test_other_hours_are_refused(body):
    """With the field and the range."""
    if body == []:
        body = [1]
    with pytest.raises(InvalidInputError, match="1 to 168"):
        _baseline(body)


def test_without_a_champion_nothing_is_normal():
    """There is no traffic of it."""
    p = Production()
    p.aliases = MemoryAliases()
    with pytest.raises(NoChampionError):
        _baseline({}, p)


def test_the_api_shows_the_last_check():
    """Drift, metrics, features, performance: one check, four views."""
    p, end = drifting()
    whole_check(p, end + timedelta(hours=1))
    drift = last_check(p.store, "loans", "drift")
    assert drift["drift_detected"]
    assert last_check(p.store, "loans", "metrics")["total_predictions"] == 360
    assert last_check(p.store, "loans", "features")["features"]["x"]["drift_detected"]
    assert "realised" in last_check(p.store, "loans", "performance")
    json.dumps(drift, allow_nan=False)
