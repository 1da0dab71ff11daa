"""Commands about production, as far as they need no stack."""

import json
from itertools import pairwise
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from cli import operations
from cli.main import app
from cli.target import HttpAnswer
from cli.timeline import Timeline
from cli.world import SimulationSettings, World
from infra.config import SPECS
from noria.spec.loader import load_spec

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
    assert body == {"labels": [{"record_id": "INC7", "label": "1"}]}


def test_feedback_sends_a_file_in_parts(run, tmp_path):
    """As many requests as it takes."""
    path = tmp_path / "labels.csv"
    path.write_text("prediction_id,label\n" + "".join(f"p{i},1\n" for i in range(1500)))
    assert run("feedback", "tickets", "--data", str(path)).exit_code == 0
    assert [len(body["labels"]) for _, _, body in _Target.sent] == [1000, 500]


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


def test_a_file_without_its_columns_is_explained(run, tmp_path):
    """With the columns it needs."""
    path = tmp_path / "labels.csv"
    path.write_text("id,truth\n1,2\n")
    done = run("feedback", "tickets", "--data", str(path))
    assert done.exit_code == 1
    assert "needs the columns label" in done.output.replace("\n", " ")


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
