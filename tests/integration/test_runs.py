"""Trainings on a deployed stage: listed, told state by state, cancelled, and gone on with."""

import time

import pytest

from cli.runs import StateSpan, _spans, known_run, runs_of
from cli.samples.files import sample_files
from cli.training import candidates_done, new_run_id, run_training, start_once, upload
from infra.local.meter import FILE
from infra.names import SPECS
from noria.spec.loader import load_spec
from tests.benchmarks import cost

pytestmark = pytest.mark.emulator


def test_a_run_is_cancelled_and_gone_on_with_by_its_id(target):
    """Its states and files are known; nothing was promoted meanwhile."""
    client, run_id = target.client("stepfunctions"), new_run_id()
    keys = upload(target, "housing", sample_files("housing"))
    message = {"project": "housing", "source_keys": keys, "run_id": run_id}
    arn = start_once(client, target.outputs["TrainingStateMachine"], f"{run_id}-a", message)
    deadline = time.monotonic() + 60.0
    while len([*_spans(client, arn)]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    (running,) = runs_of(target, "housing")
    assert (running.run_id, running.status, running.source_keys) == (run_id, "RUNNING", tuple(keys))
    client.stop_execution(executionArn=arn, error="Cancelled", cause="cancelled by a test")
    cancelled = known_run(target, "housing", run_id)
    assert (cancelled.status, cancelled.summary) == ("ABORTED", "Cancelled: cancelled by a test")
    assert target.aliases.read("housing").champion is None

    told = []
    end = run_training(
        target, "housing", [*cancelled.source_keys], run_id, lambda *what: told.append(what)
    )
    assert end.output["outcome"] == "ChallengerPromoted"
    spans = {span.name: span for span in _spans(client, end.execution_arn)}
    assert {"PrepareDataset", "TrainCandidates", "DecidePromotion"} <= set(spans)
    assert all(isinstance(span, StateSpan) and span.seconds is not None for span in spans.values())
    assert not any(span.failures for span in spans.values())
    signs = [what for state, what, _ in told if state == "TrainCandidates"]
    assert signs[0] == "started"
    assert signs[-1] == "finished"
    assert set(signs[1:-1]) <= {"running"}
    n_candidates = len(load_spec(SPECS / "housing.toml").candidates)
    assert candidates_done(target, "housing", run_id) == n_candidates


def test_what_each_kind_of_work_uses_is_metered(target, monkeypatch):
    """The smoke of `make bench-cost`; a project at rest is not checked by a look."""
    if target.aliases.read("housing").champion is None:
        keys = upload(target, "housing", sample_files("housing"))
        run_training(target, "housing", keys, new_run_id(), lambda *_: None)
    for name, size in (
        ("_PROJECTS", ()),
        ("_REQUESTS", 3),
        ("_BATCH_ROWS", 200),
        ("_SETTLED_SECONDS", 2.0),
    ):
        monkeypatch.setattr(cost, name, size)
    found = cost.measured(target, target.emulator.folder / FILE)
    assert set(found) == {"look", "check", "check at rest", "prediction", "label", "batch row"}
    assert set(found["look"].steps) == {"start_scheduled_check"}
    assert found["look"].steps["start_scheduled_check"].calls["s3:ListBucket"] <= 6
    assert found["look"].transitions == 0 < found["check at rest"].transitions
    assert found["prediction"].steps["predict"].n == 1
    assert found["prediction"].steps["predict"].calls["firehose:PutRecord"] == 1
    assert found["batch row"].steps["score_part"].n * 200 == 1
    assert all(step.seconds >= 0 for work in found.values() for step in work.steps.values())
