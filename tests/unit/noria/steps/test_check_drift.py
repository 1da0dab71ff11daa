"""Drift of the champion, over windows, baselines and promotions."""

from datetime import timedelta
from functools import partial

import pytest

from noria.api.checks import set_baseline
from noria.errors import NoChampionError, StoreUnavailableError
from noria.records.codec import from_bytes
from noria.records.drift import DriftReport
from noria.reporting.words import suspicion_text
from noria.storage.keys import DRIFT, check_key
from tests.support.checks import checked_drift, whole_check
from tests.support.fakes import FixedClock, MemoryAliases, MemoryState
from tests.support.production import START, Production, loan_rows

SLIGHT = 0.3  # deviations: seen in 240 rows, and not overwhelming


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


def test_overwhelming_drift_is_confirmed_in_its_first_window():
    """Traffic that comes in bursts never has a second one."""
    p = Production()
    middle = p.hours(3)
    assert checked_drift(p, middle).verdict == "stable"
    found = checked_drift(p, p.hours(6, start=middle, shift=1.5, seed=500))
    assert found.verdict == "drift"
    assert "x" in found.drifted
    assert "z" not in found.drifted


def test_a_borderline_drift_is_suspected_and_confirmed_by_new_rows():
    """Never called stable on the way; what confirms it is said."""
    p = Production()
    first = checked_drift(p, p.hours(4, shift=SLIGHT))
    assert (first.verdict, first.drifted) == ("suspected", ())
    assert "x" in first.suspected
    text = suspicion_text(_drift(p, "c-01-04").suspected[0], 2)
    assert "window 1 of 2" in text
    end = p.hours(4, start=START + timedelta(hours=4), shift=SLIGHT, seed=950)
    assert checked_drift(p, end).verdict == "drift"


def test_the_same_rows_looked_at_again_confirm_nothing():
    """An hour later without new traffic, the day's window confirmed itself."""
    p = Production()
    end = p.hours(4, shift=SLIGHT)
    for hour in range(6):
        at = end + timedelta(hours=hour)
        found = checked_drift(p, at)
        assert found.verdict == "suspected", hour
    report = _drift(p, f"c-{at:%d-%H}")
    assert (report.n_new_rows, {f.n_windows for f in report.suspected}) == (0, {1})


def test_silence_clears_no_suspicion_and_quiet_rows_do():
    """A day without traffic says nothing; hours of usual traffic say it was chance."""
    p = Production()
    end = p.hours(4, shift=SLIGHT)
    assert checked_drift(p, end).verdict == "suspected"
    later = end + timedelta(hours=30)
    assert checked_drift(p, later).verdict == "suspected"
    for _ in range(8):
        later = p.hours(4, start=later, seed=later.day * 100 + later.hour)
        last = checked_drift(p, later).verdict
    assert last == "stable"


def test_what_was_confirmed_stays_so_in_silence():
    """No rows are no recovery."""
    p = Production()
    end = p.hours(6, shift=0.8)
    assert checked_drift(p, end).verdict == "drift"
    assert checked_drift(p, end + timedelta(hours=40)).verdict == "drift"


def test_a_collapse_onto_one_class_is_a_finding_of_its_own():
    """Predictions went to 100 % one class; confirmed at once, and told by name."""
    p = Production()
    end = p.hours(3, answer="yes")
    found = checked_drift(p, end)
    assert "degenerate_decision" in found.drifted
    assert checked_drift(p, p.hours(1, start=end, seed=7)).n_rows > 0


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


@pytest.mark.parametrize(("kind", "verdict"), [(_Overtaken, "drift"), (_Careless, "suspected")])
def test_a_check_that_another_overtakes_builds_on_its_evidence(kind, verdict):
    """Both windows count: the drift is confirmed in the second, whichever writes first."""
    p = Production()
    end = p.hours(4, shift=SLIGHT)
    later = p.hours(4, start=end, shift=SLIGHT, seed=950)
    p.state = kind(partial(checked_drift, p, end, "earlier"), n_times=1)
    assert checked_drift(p, later, "later").verdict == verdict


def test_a_check_that_is_overtaken_all_the_time_is_retried():
    """Its state machine starts it again; nothing is written over."""
    p = Production()
    end = p.hours(6, shift=0.8)
    p.state = _Overtaken(partial(checked_drift, p, end, "earlier"), n_times=5)
    with pytest.raises(StoreUnavailableError, match="suspicions"):
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
