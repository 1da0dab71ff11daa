"""Batch jobs as the API shows them."""

import json
from datetime import timedelta

import pytest

from noria.api.jobs import LINK_SECONDS, cancel_job, create_job, read_job
from noria.errors import InvalidInputError, NoJobError
from noria.records.batch import BatchOutcome, BatchPlan, PlannedPart
from noria.records.codec import to_bytes
from noria.records.performance import JobPerformance
from noria.storage.keys import CANCELLED, JOB, OUTCOME, PERFORMANCE, PLAN, REPORT_HTML, batch_key
from tests.support.fakes import FixedClock, MemoryArtifacts
from tests.support.production import START

CLOCK = FixedClock(START)


def _made(store, **body):
    return create_job("p", {"filename": "rows.csv", **body}, store=store, clock=CLOCK)


def _outcome(job_id, outcome, **more):
    at = START.isoformat()
    return BatchOutcome("p", job_id, "k", "rows.csv", at, at, 0.0, outcome, "s", 4, **more)


def _state(store, job_id, clock=CLOCK):
    return read_job("p", job_id, store=store, clock=clock)


def test_a_new_job_has_a_link_for_its_own_file_only():
    """And its settings are kept where planning reads them."""
    store = MemoryArtifacts()
    job = _made(store, limit=7)
    place = f"batch-inbox/p/{job['job_id']}/rows.csv"
    assert job["upload"]["url"] == f"memory://PUT/{place}?{LINK_SECONDS}"
    kept = json.loads(store.get(batch_key("p", job["job_id"], JOB)))
    assert (kept["filename"], kept["limit"]) == ("rows.csv", 7)
    assert _state(store, job["job_id"])["state"] == "waiting_for_file"


@pytest.mark.parametrize(
    ("body", "field"),
    [(None, "body"), ({}, "body"), ({"filename": "a.csv", "x": 1}, "body"),
     ({"filename": "../a.csv"}, "filename"), ({"filename": "a/b.csv"}, "filename"),
     ({"filename": "a.xlsx"}, "filename"), ({"filename": 5}, "filename"),
     ({"filename": "a.csv", "limit": 0}, "limit"), ({"filename": "a.csv", "limit": True}, "limit")],
)  # fmt: skip
def test_a_bad_request_names_its_field(body, field):
    """Nothing is kept of it."""
    store = MemoryArtifacts()
    with pytest.raises(InvalidInputError) as error:
        create_job("p", body, store=store, clock=CLOCK)
    assert error.value.details["errors"][0]["field"] == field
    assert not store.objects


@pytest.mark.parametrize("job_id", ["nothing", "../../models", "a/b", "", "x" * 81])
def test_a_job_that_is_not_there_is_said_to_be_none(job_id):
    """Whatever its id tries."""
    with pytest.raises(NoJobError):
        _state(MemoryArtifacts(), job_id)


def test_progress_is_the_share_of_parts_and_the_end_has_links():
    """Links to what there is, no other."""
    store = MemoryArtifacts()
    job_id = _made(store)["job_id"]
    parts = (PlannedPart(2, 10),) * 4
    plan = BatchPlan("p", job_id, "k", "rows.csv", START.isoformat(), parts=parts)
    store.put(batch_key("p", job_id, PLAN), to_bytes(plan))
    store.put(batch_key("p", job_id, "summary/000002"), b"{}")
    assert _state(store, job_id) | {"links": 0} == {
        "project": "p", "job_id": job_id, "state": "running", "progress": 0.25, "links": 0,
    }  # fmt: skip
    later = FixedClock(START + timedelta(days=2))
    assert _state(store, job_id, later)["state"] == "failed"
    outcome = _outcome(job_id, "BatchCompleted", result_key="batch-results/p/r.csv")
    store.put(batch_key("p", job_id, OUTCOME), to_bytes(outcome))
    shown = _state(store, job_id)
    assert (shown["state"], shown["progress"]) == ("completed", 1.0)
    assert set(shown["links"]) == {"result"}  # the page is written after the outcome
    store.put(batch_key("p", job_id, REPORT_HTML), b"<html>")
    assert set(_state(store, job_id)["links"]) == {"result", "report"}
    assert "performance" not in shown
    measured = JobPerformance(job_id, "rows.csv", "v1", 7, {})
    store.put(batch_key("p", job_id, PERFORMANCE), to_bytes(measured))
    assert _state(store, job_id)["performance"]["n_labels"] == 7


def test_a_file_that_was_simply_put_there_is_a_job_to_look_at():
    """Also where its planning failed, and left nothing but the outcome."""
    store = MemoryArtifacts()
    outcome = _outcome("0123456789abcdef", "BatchFailed")
    store.put(batch_key("p", "0123456789abcdef", OUTCOME), to_bytes(outcome))
    assert _state(store, "0123456789abcdef")["state"] == "failed"


def test_cancelling_marks_a_running_job_and_leaves_an_ended_one():
    """What has ended stays as it ended."""
    store = MemoryArtifacts()
    job_id = _made(store)["job_id"]
    assert cancel_job("p", job_id, store=store, clock=CLOCK)["state"] == "cancelling"
    assert store.exists(batch_key("p", job_id, CANCELLED))
    ended = _made(store)["job_id"]
    store.put(batch_key("p", ended, OUTCOME), to_bytes(_outcome(ended, "BatchRejected")))
    assert cancel_job("p", ended, store=store, clock=CLOCK)["state"] == "rejected"
    assert not store.exists(batch_key("p", ended, CANCELLED))
