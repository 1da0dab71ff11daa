"""Drift of the champion, over windows, baselines and promotions."""

from datetime import timedelta
from functools import partial

import pytest

from noria.api.checks import set_baseline
from noria.errors import NoChampionError, StoreUnavailableError
from noria.records.codec import from_bytes
from noria.records.drift import DriftReport
from noria.storage.keys import DRIFT, check_key
from tests.support.checks import checked_drift, whole_check
from tests.support.fakes import FixedClock, MemoryAliases, MemoryState
from tests.support.production import START, Production, loan_rows


def _drift(p, check_id):
    return from_bytes(DriftReport, p.store.get(check_key("loans", check_id, DRIFT)))


def test_quiet_traffic_is_stable_and_few_rows_are_insufficient():
    """Never "no drift" on too few rows."""
    p = Production()
    p.log(loan_rows(30, seed=9), START + timedelta(minutes=5))
    drift, _, _, report = whole_check(p, START + timedelta(hours=1))
    assert (drift.verdict, report.health) == ("insufficient_data", "insufficient_data")
    assert report.summary.startswith("insufficient data, which is not 'no drift' (30 answers")
    end = p.hours(6, start=START + timedelta(hours=1))
    assert checked_drift(p, end).verdict == "stable"


def test_drift_is_confirmed_in_the_second_window_in_a_row():
    """One window may be chance; two are not."""
    p = Production()
    middle = p.hours(3)
    assert checked_drift(p, middle).verdict == "stable"
    one = p.hours(6, start=middle, shift=0.8, seed=500)
    first = checked_drift(p, one)
    second = checked_drift(p, one + timedelta(hours=1))
    assert (first.verdict, second.verdict) == ("stable", "drift")
    assert "x" in second.drifted
    assert "z" not in second.drifted


def test_a_check_at_the_same_time_counts_once():
    """Both schedules fall together four times a day."""
    p = Production()
    end = p.hours(6, shift=0.8)
    assert checked_drift(p, end, "hourly").verdict == "stable"
    assert checked_drift(p, end, "full").verdict == "stable"
    assert checked_drift(p, end + timedelta(hours=1), "next").verdict == "drift"


class _Overtaken(MemoryState):
    """Another check writes its streaks between this one's reading and writing."""

    def __init__(self, between, n_times):
        super().__init__()
        self._between, self._n_times = between, n_times

    def read(self, project, name):
        found = super().read(project, name)
        if self._n_times and (between := self._between):
            self._n_times, self._between = self._n_times - 1, None
            between()
            self._between = between
        return found


class _Careless(_Overtaken):
    """The control: it writes whatever the revision is."""

    def write(self, project, name, body, *, expected_revision):
        revision = MemoryState.read(self, project, name).revision
        return super().write(project, name, body, expected_revision=revision)


@pytest.mark.parametrize(
    ("kind", "verdict", "n_windows"), [(_Overtaken, "drift", {2}), (_Careless, "stable", set())]
)
def test_a_check_that_another_overtakes_builds_on_its_streaks(kind, verdict, n_windows):
    """Both windows count: the drift is confirmed in the second, whichever writes first."""
    p = Production()
    end = p.hours(6, shift=0.8)
    p.state = kind(partial(checked_drift, p, end, "earlier"), n_times=1)
    assert checked_drift(p, end + timedelta(hours=1), "later").verdict == verdict
    assert {finding.n_windows for finding in _drift(p, "later").confirmed} == n_windows


def test_a_check_that_is_overtaken_all_the_time_is_retried():
    """Its state machine starts it again; nothing is written over."""
    p = Production()
    end = p.hours(6, shift=0.8)
    p.state = _Overtaken(partial(checked_drift, p, end, "earlier"), n_times=5)
    with pytest.raises(StoreUnavailableError, match="streaks"):
        checked_drift(p, end + timedelta(hours=1), "later")


def test_a_new_champion_starts_with_a_clean_sheet():
    """Windows never reach back before its promotion."""
    p = Production()
    end = p.hours(6, shift=0.8)
    checked_drift(p, end)
    p.add_version("v2")
    p.promote("v2", at=end)
    found = checked_drift(p, end + timedelta(hours=1))
    assert (found.verdict, found.model_version, found.n_rows) == ("insufficient_data", "v2", 0)


def test_a_baseline_makes_the_new_world_normal_until_the_next_promotion():
    """A person knows why the traffic changed."""
    p = Production()
    end = p.hours(12, shift=0.8)
    set_baseline(
        "loans", {"hours": 12}, artifacts=p.store, aliases=p.aliases, clock=FixedClock(end)
    )
    later = p.hours(4, start=end, shift=0.8, seed=900)
    for hour in range(3):
        assert checked_drift(p, later + timedelta(hours=hour)).verdict == "stable"


def test_without_a_champion_there_is_nothing_to_watch():
    """The state machine ends quietly on it."""
    p = Production()
    p.aliases = MemoryAliases()
    with pytest.raises(NoChampionError):
        checked_drift(p, START)


def test_personal_columns_are_compared_by_signals_only():
    """The log masks the note; its length and frequent words are still watched."""
    p = Production()
    at = START + timedelta(minutes=5)
    rows = [{**row, "note": "urgente " * 30} for row in loan_rows(300, seed=3)]
    p.log(rows, at)
    checked_drift(p, START + timedelta(hours=1))
    found = checked_drift(p, START + timedelta(hours=2))
    assert {"note: characters", "note: terms"} <= set(found.drifted)
    kept = [k for k in p.store.objects if k.startswith(("profiles/", "answers/"))]
    import gzip

    assert kept
    assert not any(b"urgente" in gzip.decompress(p.store.get(key)) for key in kept)
