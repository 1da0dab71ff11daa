"""Commands about production, as far as they need no stack."""

import json
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import operations
from cli.main import app
from cli.target import HttpAnswer
from cli.timeline import Timeline
from cli.world import SimulationSettings, World
from infra.names import SPECS
from noria.monitoring.filed_rows import FiledJob, FiledRows, cell_numbers
from noria.records.codec import to_bytes
from noria.records.labels import LabelsReport
from noria.spec.loader import load_spec
from noria.storage.hours import hour_name
from noria.storage.keys import QUARANTINE_REPORT, filed_rows_key, labels_file_key
from tests.support.fakes import MemoryArtifacts

SETTINGS = SimulationSettings(
    days=6, drift_day=3, drift=1.0, rows_per_hour=4, label_delay_hours=24, seed=1
)


class _Target:
    """The API, answering what it is told and remembering what it was sent."""

    sent: ClassVar[list] = []
    answer: ClassVar[HttpAnswer] = HttpAnswer(200, {"n_labels": 1})

    def __init__(self, stage):
        self.stage = stage

    def call(self, method, path, body=None, *, scope="user"):
        self.sent.append((method, path, body))
        return self.answer


@pytest.fixture
def run(monkeypatch):
    """Run a command against the fake stage."""
    monkeypatch.setattr(_Target, "sent", [])
    monkeypatch.setattr(operations, "Target", _Target)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_feedback_sends_one_label(run):
    """By prediction id or record id."""
    assert run("feedback", "tickets", "1", "--record-id", "INC7").exit_code == 0
    ((_, path, body),) = _Target.sent
    assert path == "/projects/tickets/feedback"
    assert body == {"record_id": "INC7", "label": "1"}


@pytest.fixture
def read(monkeypatch):
    """A bucket in whose inbox files of labels are read, as the stack's machine reads them."""
    stage = SimpleNamespace(artifacts=MemoryArtifacts(), outputs={"DataBucket": "data"})
    monkeypatch.setattr(operations, "Target", lambda _: stage)
    monkeypatch.setattr(operations, "_POLL_SECONDS", 0.0)

    def reads(**found):
        def upload(path, bucket, key):
            report = LabelsReport("tickets", key, "t", **found)
            place = labels_file_key("tickets", key, QUARANTINE_REPORT)
            stage.artifacts.put(place, to_bytes(report))
            stage.uploaded = (Path(path).read_bytes(), key)

        stage.client = lambda _: SimpleNamespace(upload_file=upload)
        return stage

    return reads


def test_a_file_of_labels_goes_into_its_inbox_and_what_became_of_it_is_shown(read, tmp_path):
    """How many, and why not the others; never what stood in them."""
    path = tmp_path / "labels.csv"
    path.write_bytes(b"number,label\nINC7,1\n")
    stage = read(
        outcome="LabelsRefused", summary="1 labels filed, 1 rows refused", n_labels=1,
        n_refused=1, reasons={"(row): needs an id": 1}, refused_key="quarantine/x/rows.jsonl.gz",
    )  # fmt: skip
    done = CliRunner().invoke(app, ["feedback", "tickets", "--data", str(path)])
    assert (done.exit_code, stage.uploaded[0]) == (0, b"number,label\nINC7,1\n")
    assert re.fullmatch(r"labels-inbox/tickets/[0-9t]+-[0-9a-f]+/labels\.csv", stage.uploaded[1])
    for said in (
        "1 labels filed, 1 rows refused",
        "1 refused: (row): needs an id",
        "rows.jsonl.gz",
    ):
        assert said in done.output.replace("\n", "")


def test_a_file_without_one_label_is_an_error(read, tmp_path):
    """Status 1, and the reason."""
    path = tmp_path / "labels.csv"
    path.write_bytes(b"x\n")
    read(outcome="LabelsRejected", summary="labels.csv: no column for the label")
    done = CliRunner().invoke(app, ["feedback", "tickets", "--data", str(path)])
    assert done.exit_code == 1
    assert "no column for the label" in done.output


def test_what_was_said_of_a_record_is_shown_with_version_and_file(read, tmp_path):
    """And as JSON with all outputs."""
    stage, at = read(outcome="LabelsFiled", summary=""), datetime.now(UTC)
    job = FiledJob("j1", "may.csv", "v1", at.isoformat())
    numbers = cell_numbers(["INC7", "INC8"])[:, np.newaxis]
    shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    rows = FiledRows(
        job, ("a", "b"), ("number",), numbers, np.array([2, 3]), shares, np.array([0, 1])
    )
    stage.artifacts.put(filed_rows_key("tickets", hour_name(at), "j1", 0), rows.to_bytes())
    done = CliRunner().invoke(app, ["answers", "tickets", "INC8"])
    assert done.exit_code == 0
    assert "may.csv, line 3" in done.output
    (found,) = json.loads(CliRunner().invoke(app, ["answers", "tickets", "INC8", "--json"]).output)
    assert (found["model_version"], found["prediction"], found["outputs"]) == (
        "v1",
        "b",
        [0.2, 0.8],
    )
    assert "0 answers" in CliRunner().invoke(app, ["answers", "tickets", "INC9"]).output


def test_performance_shows_each_file_beside_the_whole(run):
    """A file with few labels is insufficient data."""
    measured = {"value": 0.8, "low": 0.75, "high": 0.85, "reference": 0.9, "n_rows": 200}
    jobs = [
        {
            "filename": "may.csv",
            "job_id": "j1",
            "n_labels": 200,
            "realised": {"f1_macro": measured},
        },
        {"filename": "june.csv", "job_id": "j2", "n_labels": 3, "realised": {}},
    ]
    body = {"verdict": "good", "n_labels": 203, "at": "2026-03-01T00:00", "n_unmatched_labels": 0,
            "realised": {"f1_macro": measured}, "estimated": {},
            "primary_metric": "f1_macro", "n_jobs": 2, "probation": None}  # fmt: skip
    _Target.answer = HttpAnswer(200, body | {"jobs": []})
    current = json.dumps({"performance": {"jobs": jobs}}).encode()
    _Target.artifacts = MemoryArtifacts()
    _Target.artifacts.put("monitoring/tickets/current.json", current)
    done = run("performance", "tickets")
    assert "0.7500 to 0.8500" in done.output
    assert "insufficient data" in done.output
    _Target.answer = HttpAnswer(200, {"n_labels": 1})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tickets", "1"], "one of --prediction-id"),
        (["tickets", "--record-id", "a"], "give a label"),
        (["nothing", "1", "--record-id", "a"], "no project 'nothing'"),
    ],
)
def test_feedback_that_says_too_little_is_explained(run, arguments, said):
    """One line, status 1."""
    done = run("feedback", *arguments)
    assert done.exit_code == 1
    assert said in done.output.replace("\n", " ")


def test_drift_shows_the_tests_that_decide(run):
    """And as JSON everything."""
    finding = {"column": "x", "statistic": "ks", "effect": 0.31, "threshold": 0.08,
               "p_adjusted": 1e-9, "is_drifted": True}  # fmt: skip
    body = {"verdict": "drift", "at": "2026-03-01T00:00", "retraining": {"summary": "not now"},
            "windows": {"short": {"findings": [finding]}, "long": {"findings": []}},
            "confirmed": [{"text": "x: median 1 → 2"}],
            "suspected": [{"text": "y: window 1 of 2"}]}  # fmt: skip
    _Target.answer = HttpAnswer(200, body)
    done = run("drift", "tickets")
    assert "0.310" in done.output
    assert "confirmed: x: median 1" in done.output
    assert "suspected: y: window 1 of 2" in done.output
    assert json.loads(run("drift", "tickets", "--json").output) == body
    _Target.answer = HttpAnswer(404, {"detail": "has not been checked yet"})
    refused = run("drift", "tickets")
    assert refused.exit_code == 1
    assert "not been checked" in refused.output
    _Target.answer = HttpAnswer(200, {"n_labels": 1})


def _timeline():
    made = Timeline("accuracy", SETTINGS)
    made.scores = [(day + 0.5, 0.9 if day < 3 or day == 5 else 0.4) for day in range(6)]
    made.add(0.0, "champion", "v1")
    made.add(3.5, "drift", "x moved")
    made.add(4.25, "retraining", "data_drift")
    made.add(4.5, "promoted", "v2")
    return made


def test_a_timeline_says_how_the_loop_did():
    """Before, during and after the change."""
    summary = _timeline().summary()
    assert "retrainings before the change: 0; after it: 1" in summary
    assert "confirmed on day 3.50" in summary
    assert "accuracy: 0.900 before, 0.400 after the change, 0.900 after the promotion" in summary
    assert "failed requests: 0" in summary


def test_a_timeline_is_drawn():
    """With a line for each kind of event."""
    drawn = _timeline().drawn()
    assert drawn.lstrip().startswith("<?xml")
    assert drawn.count("#c2410c") >= 1


@pytest.mark.parametrize("project", ["tickets", "housing", "customers", "messages"])
def test_every_project_has_a_world_that_changes(project):
    """A day's requests from its own sample rows; equal days are equal."""
    world = World(project, load_spec(SPECS / f"{project}.toml"), SETTINGS)
    before, after = world.rows(1), world.rows(4)
    assert len(before) == len(after) == 96
    assert before == world.rows(1)
    assert before != after
    assert all(not name.startswith("_") for inputs, _ in before for name in inputs)


def test_the_reviews_of_a_simulated_day_come_after_all_earlier_ones():
    """With a split by time only rows that come after the champion's own judge it."""
    world = World("messages", load_spec(SPECS / "messages.toml"), SETTINGS)
    dates = []
    for day in (-1, 0, 3):
        body = next(body for name, body in world.files(day) if "review" in name)
        dates.append(sorted(json.loads(line)["date"] for line in body.splitlines()))
    assert all(one[-1] < other[0] for one, other in pairwise(dates))
    assert [one[0][:10] for one in dates] == ["2025-01-01", "2026-01-01", "2026-01-04"]
