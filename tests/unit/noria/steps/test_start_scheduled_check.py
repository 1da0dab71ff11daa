"""A look that may take a check's place, and must hide nothing by it."""

import random
from datetime import timedelta

import pytest

from noria.records.check import CheckReport
from noria.records.codec import from_bytes
from noria.steps import start_scheduled_check as step
from noria.steps import write_monitoring_report
from noria.steps.start_scheduled_check import StartScheduledCheckRequest, start_scheduled_check
from noria.storage.keys import CURRENT, monitoring_key
from tests.support.checks import new_file, whole_check
from tests.support.fakes import MemoryAliases, MemoryExecutions
from tests.support.production import START, Production, loan_rows

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Pages are not looked at here, and drawing takes nine tenths of a check."""
    monkeypatch.setattr(write_monitoring_report, "render", lambda *_: b"")


def _looked(p, at, *, may_retrain=False, executions=None):
    found = start_scheduled_check(
        StartScheduledCheckRequest("loans", may_retrain, at.isoformat()),
        spec=p.spec, store=p.store, aliases=p.aliases,
        executions=executions or MemoryExecutions(),
    )  # fmt: skip
    return found.is_started, found.reason


def _at_rest(**sections):
    """Return a project that nobody asks, and when it was checked."""
    p = Production(**sections)
    at = START + 5 * HOUR
    whole_check(p, at)
    return p, at


def test_a_project_at_rest_is_checked_once_a_day():
    """The other looks start nothing; one that misses its hour is a day late at most."""
    p, at = _at_rest()
    started = []
    for hour in range(1, 73):
        now = at + hour * HOUR
        if _looked(p, now)[0]:
            started.append(hour)
            whole_check(p, now)
    assert started == [24, 48, 72]


def test_without_a_champion_nothing_is_started():
    """There is nothing to check."""
    p, at = _at_rest()
    p.aliases = MemoryAliases()
    assert _looked(p, at) == (False, "there is no champion to check")


def test_a_champion_that_was_never_checked_is():
    """Its first report is not to wait for answers."""
    assert _looked(Production(), START + HOUR) == (True, "the champion was never checked")


def _answers(p, at):
    p.log(loan_rows(3, seed=1), at - timedelta(minutes=30))


def _late_answers(p, at):
    p.log(loan_rows(3, seed=1), at - 20 * HOUR)  # Firehose, or the replay of what it refused


def _labels(p, at):
    (ids,) = [p.log(loan_rows(1, seed=1), at - 30 * HOUR)]
    p.label(ids, ["yes"], at)
    for key in p.store.objects:
        if key.startswith("labels/"):
            p.store.modified[key] = at


def _file(p, at):
    new_file(p)
    p.store.modified["inbox/loans/2/new.csv"] = at


def _uploaded_in_parts(p, at):
    """It bears the time that the upload began at: before the check, which did not see it."""
    new_file(p)
    p.store.modified["inbox/loans/2/new.csv"] = at - 3 * HOUR


def _promotion(p, at):
    p.add_version("v2")
    p.promote("v2", at=at)


def _promotion_back(p, at):
    _promotion(p, at)
    p.promote("v1", at=at + timedelta(minutes=1))


NEWS = {
    "answers": (_answers, "there are answers"),
    "answers that come late": (_late_answers, "there are answers"),
    "labels": (_labels, "there are labels"),
    "a file": (_file, "there are files to train on"),
    "a file whose upload took long": (_uploaded_in_parts, "there are files to train on"),
    "a promotion": (_promotion, "the champion is a new one"),
    "a promotion and back": (_promotion_back, "the champion is a new one"),
}


@pytest.mark.parametrize("name", NEWS)
def test_what_a_check_would_see_starts_it(name):
    """Each of them alone."""
    happens, reason = NEWS[name]
    p, at = _at_rest()
    happens(p, at + HOUR - timedelta(minutes=5))
    assert _looked(p, at + HOUR) == (True, reason)


def test_a_project_that_found_something_is_looked_at_until_it_is_at_rest():
    """A window moves on without anything new in it."""
    started = _started_after_answers()
    n = started.index(next(hour for hour in started if hour + 1 not in started)) + 1
    assert started[:n] == list(range(1, n + 1))  # until the last window that they are in has ended
    assert 20 < n < 52
    assert len(started) - n < 3  # then once a day


@pytest.mark.parametrize("is_overlooked", [False, True])
def test_labels_of_old_answers_are_looked_at_until_they_leave_their_window(
    monkeypatch, is_overlooked
):
    """They change what is said without anything new; the control takes every check for quiet."""
    p, at = Production(), START + 30 * 24 * HOUR
    _labels(p, at - timedelta(minutes=10))
    whole_check(p, at)
    assert _current(p).performance.n_labels == 1
    for key in p.store.modified:  # long before, for whoever asks what is new
        p.store.modified[key] = START
    if is_overlooked:
        monkeypatch.setattr(step, "_is_at_rest", lambda _: True)
    assert _looked(p, at + HOUR)[0] is not is_overlooked


def _started_after_answers(n_hours=60):
    """Return the hours after the last answer in which a check was started."""
    p = Production()
    end = p.hours(1)
    whole_check(p, end)
    started = []
    for hour in range(1, n_hours):
        now = end + hour * HOUR
        if _looked(p, now)[0]:
            started.append(hour)
            whole_check(p, now)
    return started


def test_a_reason_that_waits_for_new_rows_waits_for_a_file():
    """An old model without new rows is not looked at hour by hour."""
    p, at = _at_rest(retraining={"on": ("age",), "max_age_days": 0.1})
    assert [reason.code for reason in _current(p).retraining.reasons] == ["age"]
    assert _looked(p, at + HOUR)[0] is False
    _file(p, at + timedelta(minutes=5))
    assert _looked(p, at + HOUR)[0] is True


def test_a_schedule_that_comes_twice_starts_one_check_and_its_kinds_are_two():
    """As the name of the execution; both share the time, so that they count as one check."""
    executions, at = MemoryExecutions(), START + HOUR
    for may_retrain in (False, True, True):
        _looked(Production(), at, may_retrain=may_retrain, executions=executions)
    assert {name for _, name in executions.started} == {
        "scheduled-look-loans-20260301t010000",
        "scheduled-full-loans-20260301t010000",
    }
    assert {message["at"] for message in executions.started.values()} == {at.isoformat()}
    assert sorted(m["may_retrain"] for m in executions.started.values()) == [False, True]
    assert {machine for machine, _ in executions.started} == {"Monitoring"}


def _current(p):
    return from_bytes(CheckReport, p.store.get(monitoring_key("loans", CURRENT)))


def _said(p):
    """Return what the last check says of the champion, without its time."""
    last = _current(p)
    return (
        last.health, last.drift.model_version, last.drift.verdict, last.drift.windows.long.n_rows,
        last.drift.confirmed, last.drift.suspected, last.performance.verdict,
        last.performance.n_labels, last.performance.n_waiting_labels, last.performance.n_unmatched_labels, last.retraining.codes,
        last.retraining.retrain,
    )  # fmt: skip


def _hidden(seed, n_hours=30):
    """Return how many looks started nothing, and how many of them hid something.

    In a course of hours with answers, labels, files and promotions, each look that starts nothing
    is held against the check that it saved.
    """
    rng, p, n_saved, n_hid = random.Random(seed), Production(), 0, 0
    left = [_answers, _late_answers, _labels, _file, _promotion]
    rng.shuffle(left)
    begin = START + 60 * HOUR  # so that answers can be older than the window
    for hour in range(1, n_hours):
        now = begin + hour * HOUR
        if left and rng.random() < 0.1:
            left.pop()(p, now - timedelta(minutes=1))
        if _looked(p, now)[0]:
            whole_check(p, now)
            continue
        before = _said(p)
        whole_check(p, now, f"would-be-{hour}")
        n_saved += 1
        n_hid += _said(p) != before
    return n_saved, n_hid


SEEDS = range(4)


def test_a_look_that_starts_nothing_hides_nothing():
    """Four courses of thirty hours."""
    found = [_hidden(seed) for seed in SEEDS]
    assert sum(n_hid for _, n_hid in found) == 0
    assert sum(n_saved for n_saved, _ in found) > 25


@pytest.mark.parametrize(
    ("name", "happens"),
    [("_has_any", _answers), ("_has_newer", _labels), ("_has_unseen_file", _file)],
)
def test_a_look_that_overlooks_something_is_found(monkeypatch, name, happens):
    """The control: without one of its questions, the check would have said something else."""
    p = Production(retraining={"on": ("new_file",)})
    at = START + 60 * HOUR
    whole_check(p, at)
    happens(p, at + HOUR - timedelta(minutes=5))
    assert _looked(p, at + HOUR)[0]
    monkeypatch.setattr(step, name, lambda *_: False)
    assert not _looked(p, at + HOUR)[0]
    before = _said(p)
    whole_check(p, at + HOUR)
    assert _said(p) != before
