import json
from datetime import timedelta

import pytest

from noria.api.checks import last_check, set_baseline
from noria.errors import InvalidInputError, NoChampionError, NoCheckError
from tests.support.checks import drifting, whole_check
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts
from tests.support.production import START, Production, loan_rows


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
    ("body", "said"),
    [
        *(({"hours": hours}, "1 to 168") for hours in (0, 169, True, "x", None)),
        *((body, "body: must be") for body in ([], [1], 7, {"hours": 24, "more": 1})),
    ],
)
def test_other_hours_are_refused(body, said):
    """With the field and the range."""
    with pytest.raises(InvalidInputError, match=said):
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


def test_the_last_answers_are_shown_without_whom_and_what_they_were_given():
    """The newest first, at most ten, with the mean latency and since when the champion serves."""
    p = Production()
    p.add_version("v2")
    p.log(loan_rows(30, seed=1), START, latency_ms=2.0)
    newest = START + timedelta(minutes=30)
    p.log(loan_rows(1, seed=2), newest, answer="yes", latency_ms=5.0)
    p.log(loan_rows(1, seed=3), newest, version="v2")
    whole_check(p, START + timedelta(hours=1))
    shown = last_check(p.store, "loans", "metrics")
    assert len(shown["last_answers"]) == 10
    first = shown["last_answers"][0]
    assert set(first) == {"at", "prediction", "confidence", "latency_ms"}
    assert (first["at"], first["prediction"], first["latency_ms"]) == (newest.isoformat(), "yes", 5)
    assert shown["latency_ms"]["mean"] == pytest.approx((30 * 2.0 + 5.0) / 31)
    assert shown["champion_since"] == START.isoformat()
    assert "last_answers" not in last_check(p.store, "loans", "performance")


def test_earlier_days_are_shown_in_numbers():
    """As the last check of each had them; a day without a check is said to be none."""
    p = Production()
    for day, n in enumerate((40, 60)):
        p.hours(3, start=START + timedelta(days=day), n=n)
        whole_check(p, START + timedelta(days=day, hours=2), f"early-{day}")
        whole_check(p, START + timedelta(days=day, hours=3), f"late-{day}")
    shown = [last_check(p.store, "loans", "metrics", {"date": f"2026-03-0{day}"}) for day in (1, 2)]
    assert [day["total_predictions"] for day in shown] == [120, 180]
    assert [day["date"] for day in shown] == ["2026-03-01", "2026-03-02"]
    with pytest.raises(NoCheckError, match="not checked on 2026-03-03"):
        last_check(p.store, "loans", "metrics", {"date": "2026-03-03"})
    for date in ("today", "2026-3-1", "../x"):
        with pytest.raises(InvalidInputError, match="YYYY-MM-DD"):
            last_check(p.store, "loans", "metrics", {"date": date})


def test_features_show_how_far_each_has_moved_and_which_beyond_a_threshold():
    """By every test's effect, and by deviations, as a threshold asks for them."""
    p, end = drifting()
    whole_check(p, end + timedelta(hours=1))

    def features(**query):
        return last_check(p.store, "loans", "features", query)["features"]

    moved = features()["x"]
    assert moved["scores"]["ks"] > 0.08
    assert "is_beyond_threshold" not in moved
    assert features()["kind"]["shift"] is None
    below, above = (features(threshold=str(abs(moved["shift"]) + d))["x"] for d in (0.1, -0.1))
    assert (below["is_beyond_threshold"], above["is_beyond_threshold"]) == (False, True)
    for text in ("0", "-1", "nan", "inf", "much"):
        with pytest.raises(InvalidInputError, match="deviations above 0"):
            features(threshold=text)
    json.dumps(features(threshold="2.0"), allow_nan=False)


def test_a_window_may_be_asked_for():
    """The tests of the last hour, or of the day; another word is refused."""
    p, end = drifting()
    whole_check(p, end + timedelta(hours=1))
    both = last_check(p.store, "loans", "drift")["windows"]
    shown = last_check(p.store, "loans", "drift", {"window": "short"})
    assert shown["windows"] == {"short": both["short"]}
    scores = {
        window: last_check(p.store, "loans", "features", {"window": window})["features"]["x"][
            "scores"
        ]
        for window in ("short", "long")
    }
    assert scores["long"] != scores["short"]
    with pytest.raises(InvalidInputError, match="short or long"):
        last_check(p.store, "loans", "drift", {"window": "week"})
