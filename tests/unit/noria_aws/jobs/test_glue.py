"""The Glue job's arguments and tasks; Spark itself is in tests/contract."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.errors import DatasetSchemaError, TrainingFailedError
from noria.records.codec import from_bytes
from noria.records.drift import AnalysisReport
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import analysis_key, candidate_key
from noria_aws.aws.settings import DATA_BUCKET
from noria_aws.jobs import glue
from tests.support.fakes import MemoryArtifacts, SteppingClock
from tests.support.pipeline import prepared_tickets

TRAIN = {"project": "quick", "run_id": "r", "candidate": "logistic", "refit_of": glue.NOTHING}


def _services(spec, store):
    return SimpleNamespace(
        artifacts=store,
        clock=SteppingClock(),
        spec=lambda _: spec,
        code_versions=lambda: {"noria": "test"},
    )


def test_arguments_are_read_by_glue_where_it_is(monkeypatch):
    """Its own function gets the names; what else it finds is left out."""
    asked = []

    def resolved(argv, names):
        asked.append(names)
        return {"task": "fit", "JOB_NAME": "j"}

    utils = ModuleType("awsglue.utils")
    utils.getResolvedOptions = resolved
    monkeypatch.setitem(sys.modules, "awsglue", ModuleType("awsglue"))
    monkeypatch.setitem(sys.modules, "awsglue.utils", utils)
    assert glue.job_options(["job.py", "--task", "fit"], ("task",)) == {"task": "fit"}
    assert asked == [["task"]]


def test_arguments_are_read_as_glue_does_where_it_is_not():
    """Pairs; the one that is missing is named."""
    argv = ["job.py", "--task", "train", "--rows", "a b", "--enable-x", "true"]
    assert glue.job_options(argv, ("rows", "task")) == {"rows": "a b", "task": "train"}
    for bad in (argv, ["job.py", "--candidate"]):
        with pytest.raises(ValueError, match="--candidate"):
            glue.job_options(bad, ("candidate",))


def test_settings_come_as_arguments(monkeypatch):
    """A Glue job has no environment of ours; the task runs with it and its own arguments."""
    for name in ("NORIA_DATA_BUCKET", "NORIA_CODE_VERSION"):
        monkeypatch.setenv(name, "unset")
    seen = []
    monkeypatch.setattr(glue, "_TASKS", {"fit": lambda options, _: seen.append(options)})
    given = {"task": "fit", "data_bucket": "b", "code_version": "c", "project": "p",
             "run_id": "r", "dataset_version": "v"}  # fmt: skip
    monkeypatch.setattr(
        sys, "argv", ["job.py", *(p for k, v in given.items() for p in (f"--{k}", v))]
    )
    glue.main()
    assert seen == [given]
    assert glue.bootstrap().spec("tickets").name == "tickets"
    import os

    assert os.environ[DATA_BUCKET] == "b"


def test_a_job_trains_what_the_step_trains():
    """Byte for byte; the lineage names the backend."""
    spec, store, version = prepared_tickets()
    own = MemoryArtifacts()
    own.objects = dict(store.objects)
    train_candidate(
        TrainCandidateRequest("quick", "r", version, "logistic"),
        spec=spec, artifacts=own, clock=SteppingClock(), code={},
    )  # fmt: skip
    glue.train({**TRAIN, "dataset_version": version}, _services(spec, store))
    for file in (BUNDLE_FILE, ARRAYS_FILE):
        key = candidate_key("quick", "r", "logistic", file)
        assert store.get(key) == own.get(key)
    result = json.loads(store.get(candidate_key("quick", "r", "logistic", "result.json")))
    assert result["code"] == {"noria": "test", "backend": "glue"}


def test_a_candidate_that_cannot_be_fitted_is_no_fault(monkeypatch):
    """The others decide, as on Lambda."""

    def fails(*_, **__):
        raise TrainingFailedError("no parameter set could be fitted")

    monkeypatch.setattr(glue, "train_candidate", fails)
    glue.train({**TRAIN, "dataset_version": "v"}, _services(None, None))


def test_rows_that_cannot_be_read_are_an_answer(monkeypatch):
    """With the reason; people at work are not called for it."""

    def fails(*_):
        raise DatasetSchemaError("the address holds no files of rows")

    monkeypatch.setattr(glue, "_report", fails)
    store = MemoryArtifacts()
    options = {"project": "quick", "analysis_id": "a"}
    glue.analyze(options, _services(None, store))
    found = from_bytes(AnalysisReport, store.get(analysis_key("quick", "a", "drift.json")))
    assert found == AnalysisReport("quick", "rejected", reason="the address holds no files of rows")


@pytest.mark.parametrize("error", [KeyError("Ana"), TrainingFailedError("no rows are left")])
def test_what_a_job_fails_at_is_told_only_where_noria_has_said_it(monkeypatch, capsys, error):
    """Glue shows the last error, and an alert quotes it; the whole of it is in the job's log."""
    for name in ("NORIA_DATA_BUCKET", "NORIA_CODE_VERSION"):
        monkeypatch.setenv(name, "unset")

    def fail(options, services):
        raise error

    monkeypatch.setattr(glue, "_TASKS", {"fit": fail})
    names = ("task", *glue.ALWAYS[1:], *glue.OPTIONS["fit"])
    argv = [part for name in names for part in (f"--{name}", "fit")]
    monkeypatch.setattr(sys, "argv", ["job.py", *argv])
    with pytest.raises((RuntimeError, TrainingFailedError)) as caught:
        glue.main()
    is_ours = isinstance(error, TrainingFailedError)
    assert ("no rows are left" in str(caught.value)) == is_ours
    assert "Ana" not in str(caught.value)
    assert ("Ana" in capsys.readouterr().err) == (not is_ours)
