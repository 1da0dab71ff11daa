"""The rows of a file beside those of training: one window, judged before results are published."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from noria.errors import StoreUnavailableError
from noria.monitoring.baseline import write_baseline
from noria.monitoring.prediction_log import read_reference
from noria.records.check import Baseline
from noria.records.prediction import Answer, PredictionRecord
from noria.storage.hashing import canonical_json
from tests.support.fakes import MemoryState
from tests.support.jobs import N_TRAINED, Jobs, csv_file
from tests.support.trained import tiny_bundle

DRIFTED = csv_file(250, n_values=4)  # only the least of the values that training had


def _slight(name=b"i"):
    """Return a file that has drifted a little; its ids make it another one."""
    rows = (b"%s%d,%d\n" % (name, k, 3 if k % 7 == 0 else k % 10) for k in range(300))
    return b"id,X\n" + b"".join(rows)


SLIGHT = _slight()


def _scored(jobs, body, name="rows.csv", **more):
    """Plan a file and score its parts; return the job's id."""
    plan = jobs.plan(body, name, **more)
    for part in range(plan.n_parts):
        jobs.score(plan.job_id, part)
    return plan.job_id


def _filed(jobs):
    """Return the profiles in the log."""
    return {key: body for key, body in jobs.store.objects.items() if key.startswith("profiles/")}


@pytest.mark.parametrize(
    ("body", "verdict", "drifted"),
    [
        (csv_file(250), "stable", ()),
        (DRIFTED, "drift", ("(prediction)", "x")),
        (csv_file(99, n_values=4), "insufficient_data", ()),
    ],
)
def test_rows_have_drifted_or_not_or_are_too_few_to_say(body, verdict, drifted):
    """By the same statistics and least rows as those of requests; one file is one window."""
    jobs = Jobs(is_watched=True)
    check = jobs.check(_scored(jobs, body))
    assert (check.verdict, tuple(sorted(check.drifted))) == (verdict, drifted)
    assert (check.check_id, check.model_version, check.is_of_champion) == ("batch-j1", "v1", True)
    assert check.n_rows == body.count(b"\n") - 1
    report = jobs.drift()
    assert (report.job_id, report.verdict) == ("j1", verdict)
    assert report.columns["x"].now.n == check.n_rows


def test_refused_rows_are_no_evidence():
    """Only what was answered is compared."""
    jobs = Jobs(is_watched=True)
    assert jobs.check(_scored(jobs, csv_file(250, bad=set(range(40))))).n_rows == 210


@pytest.mark.parametrize("size", [100, 130, 1000])
def test_the_profile_is_that_of_the_same_rows_sent_one_by_one_however_the_file_was_cut(size):
    """Counts, sums and kept values, to the last bit; requests have a latency besides."""
    jobs = Jobs(is_watched=True, rows_per_part=size)
    jobs.run(csv_file(2500))
    ((key, body),) = _filed(jobs).items()
    assert key == "profiles/p/v1/2026-01-01T00/batch-j1.json.gz"
    found = json.loads(gzip.decompress(body))
    reference = read_reference(jobs.store, "p", "v1")
    window = reference.empty()
    for start in range(0, 2500, 50):
        rows = [{"x": float(k % 10)} for k in range(start, start + 50)]
        answers = [Answer(2.0 * row["x"] + 1.0) for row in rows]
        window.add(
            reference.of([
                PredictionRecord("", "v1", "", answer=a, inputs=r)
                for a, r in zip(answers, rows, strict=True)
            ])
        )  # fmt: skip
    sent = json.loads(canonical_json(window.to_dict()))
    assert {**found, "latency": None} == {**sent, "latency": None}


def test_the_same_job_again_is_the_same_check():
    """A Lambda that is run twice finds what it found, at the same time, and files one object."""
    jobs = Jobs(is_watched=True)
    first = jobs.check(_scored(jobs, DRIFTED))
    assert jobs.check("j1") == first
    jobs.close(check=first)
    filed = _filed(jobs)
    jobs.close(check=jobs.check("j1"))
    assert _filed(jobs) == filed
    assert len(filed) == 1


@pytest.mark.parametrize("n_windows", [1, 2])
def test_the_same_file_again_is_no_new_evidence(n_windows):
    """It was its own second window; it is judged again, and filed once."""
    jobs = Jobs(is_watched=True, windows_in_a_row=n_windows)
    verdicts = []
    for folder in ("j1", "j2"):
        jobs.run(SLIGHT, folder=folder)
        verdicts.append(jobs.drift(folder).verdict)
    assert verdicts == [["drift", "drift"], ["suspected", "suspected"]][n_windows - 1]
    assert len(_filed(jobs)) == 1
    jobs.promote("v2", {**tiny_bundle(), "reference.json.gz": jobs.reference})
    jobs.run(SLIGHT, folder="j3")
    assert len(_filed(jobs)) == 2  # another model has not seen it


def test_rows_of_a_file_that_is_rejected_are_not_filed():
    """It is mended and comes again."""
    jobs = Jobs(is_watched=True, on_refused="hold")
    assert jobs.run(csv_file(250, bad=set(range(100)))).outcome == "BatchRejected"
    assert not _filed(jobs)


def test_a_declared_baseline_is_what_files_are_compared_with():
    """Whoever has said that this traffic is fine is not warned of it, nor held up."""
    jobs = Jobs(is_watched=True)
    assert jobs.run(DRIFTED).outcome == "BatchCompleted"
    (key,) = _filed(jobs)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    span = Baseline("v1", start.isoformat(), (start + timedelta(hours=1)).isoformat())
    write_baseline(jobs.store, "p", span)
    assert key.startswith("profiles/p/v1/2026-01-01T00/")
    other = DRIFTED.replace(b"i1,", b"other,")
    assert jobs.check(_scored(jobs, other, folder="j2")).verdict == "stable"


@pytest.mark.parametrize(
    ("settings", "more"),
    [({"is_watched": True, "monitored": False}, {}), ({"is_watched": True}, {"limit": 200}), ({}, {})],
    ids=["monitored = false", "a try of the first rows", "a model without a reference"],
)  # fmt: skip
def test_what_is_no_evidence_is_scored_and_not_checked(settings, more):
    """Nothing is filed in the log."""
    jobs = Jobs(**settings)
    job_id = _scored(jobs, csv_file(250), **more)
    assert jobs.check(job_id) is None
    assert not _filed(jobs)
    assert jobs.close().outcome == "BatchCompleted"


def test_answers_to_the_training_rows_are_not_compared_and_not_filed():
    """Whoever scores the training file, under any name, gets no alarm: the model knows it."""
    sure = tiny_bundle({"coefficients": [2.0], "intercepts": [4.0]})  # of its training rows only
    jobs = Jobs(sure, is_watched=True)
    jobs.run(csv_file(N_TRAINED), "again.csv")
    report = jobs.drift()
    assert (report.verdict, report.confirmed) == ("stable", ())
    assert report.trained_on == ("old.csv",)
    assert not _filed(jobs)
    jobs.run(csv_file(N_TRAINED - 1), folder="j2")  # control: one row less
    other = jobs.drift("j2")
    assert (other.verdict, [f.name for f in other.confirmed]) == ("drift", ["(prediction)"])
    assert len(_filed(jobs)) == 1


def test_training_rows_whose_answers_are_as_usual_are_not_filed_either():
    """Estimates of quality would count on answers that the model is too sure of."""
    jobs = Jobs(is_watched=True)
    jobs.run(csv_file(N_TRAINED))
    assert jobs.drift().trained_on == ("old.csv",)
    assert not _filed(jobs)


def test_a_version_that_was_replaced_meanwhile_is_still_compared_with_its_own_training():
    """The check is about what answered; whoever decides about the champion is told."""
    jobs = Jobs(is_watched=True)
    job_id = _scored(jobs, DRIFTED)
    jobs.promote("v2", tiny_bundle())
    check = jobs.check(job_id)
    assert (check.model_version, check.is_of_champion, check.verdict) == ("v1", False, "drift")


def _slightly_drifted(jobs, n):
    """Check files that have drifted a little, one after another; return the verdicts."""
    found = []
    for number in range(n):
        body = _slight(b"file-%d-" % number)
        check = jobs.check(_scored(jobs, body, folder=f"j{number}"))
        found.append((check.verdict, check.drifted, check.suspected))
    return found


def test_one_file_confirms_unless_the_spec_asks_for_more():
    """A file is large and rare; where files are small, several must agree."""
    (once,) = _slightly_drifted(Jobs(is_watched=True), 1)
    assert (once[0], once[2]) == ("drift", ())
    first, second = _slightly_drifted(Jobs(is_watched=True, windows_in_a_row=2), 2)
    assert (first[0], first[1]) == ("suspected", ())
    assert (second[0], set(second[1])) == ("drift", set(first[2]))


def test_each_file_is_judged_alone_where_one_confirms():
    """A file of usual rows after a drifted one is stable, not suspected."""
    jobs = Jobs(is_watched=True)
    assert jobs.check(_scored(jobs, DRIFTED, folder="j1")).verdict == "drift"
    assert jobs.check(_scored(jobs, csv_file(250), folder="j2")).verdict == "stable"


def test_a_drift_has_held_since_the_first_of_the_files_in_a_row():
    """Rows of before then teach the old world; a file of usual rows ends it."""
    jobs = Jobs(is_watched=True)
    bodies = {"j1": DRIFTED, "j2": csv_file(99, n_values=4), "j3": DRIFTED + b"x,1\n", "j4": csv_file(250), "j5": DRIFTED + b"y,1\n"}  # fmt: skip
    for name, body in bodies.items():
        jobs.check(_scored(jobs, body, folder=name))
    since = {name: {f.since for f in jobs.drift(name).confirmed} for name in bodies}
    first, fifth = jobs.drift("j1").at, jobs.drift("j5").at
    assert since == {"j1": {first}, "j2": set(), "j3": {first}, "j4": set(), "j5": {fifth}}
    assert jobs.drift("j2").verdict == "insufficient_data"


def test_a_check_that_died_after_its_evidence_was_kept_does_not_count_twice():
    """The evidence is kept before the finding is written."""
    jobs = Jobs(is_watched=True, windows_in_a_row=2)
    job_id = _scored(jobs, SLIGHT)
    first = jobs.check(job_id)
    del jobs.store.objects[first.drift_key]
    assert replace(jobs.check(job_id), at="") == replace(first, at="")
    del jobs.store.objects[first.drift_key]
    quiet = jobs.check(_scored(jobs, csv_file(250), folder="j2"))
    del jobs.store.objects[quiet.drift_key]
    assert replace(jobs.check("j2"), at="") == replace(quiet, at="")


def test_checks_at_the_same_moment_lose_none_and_say_so_when_they_cannot():
    """The state is written under its revision."""

    class Contended(MemoryState):
        def write(self, *_, **__):
            return False

    jobs = Jobs(is_watched=True, windows_in_a_row=2)
    job_id = _scored(jobs, SLIGHT)
    jobs.state = Contended()
    with pytest.raises(StoreUnavailableError, match="other checks write its suspicions"):
        jobs.check(job_id)


def test_an_answer_is_not_lost_with_its_check():
    """What hands a check to the closing step may lack it: results are published, and say so."""
    jobs = Jobs(is_watched=True)
    _scored(jobs, csv_file(250))
    closed = jobs.close(check=None)
    assert closed.outcome == "BatchCompleted"
    assert "its rows could not be compared with training" in closed.summary
    assert jobs.outcome().health == "insufficient_data"
