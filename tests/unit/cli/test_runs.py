import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cli import main, runs
from cli.main import app
from cli.runs import plain

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
CAUSE = json.dumps(
    {"errorType": "ModelCorruptError", "errorMessage": "the bundle\nlacks a part", "stackTrace": ["x" * 3000]}
)  # fmt: skip


def _event(number, kind, seconds, name=None, previous=None, **details):
    event = {"id": number, "type": kind, "timestamp": START + timedelta(seconds=seconds)}
    event["previousEventId"] = number - 1 if previous is None else previous
    how = "Entered" if kind.endswith("Entered") else "Exited"
    if name:
        event[f"state{how}EventDetails"] = {"name": name}
    if details:
        event["lambdaFunctionFailedEventDetails"] = details
    return event


class _Machines:
    """Executions of two projects, the newest first."""

    def __init__(self):
        self.stopped, self.looked_at = [], []
        self.found = {
            "r3-aa": ("RUNNING", "housing", {}),
            "r2-bb": ("FAILED", "housing", {"error": "ModelCorruptError", "cause": CAUSE}),
            "x-cc": ("SUCCEEDED", "tickets", {"output": "{}"}),
            "r1-dd": (
                "SUCCEEDED",
                "housing",
                {"output": json.dumps({"outcome": "ChampionKept", "model_version": "v1",
                                       "summary": "no better"})},
            ),
        }  # fmt: skip
        self.events = [
            _event(1, "ExecutionStarted", 0, previous=0),
            _event(2, "TaskStateEntered", 0, "Prepare"),
            _event(3, "TaskStateExited", 2, "Prepare"),
            _event(4, "MapStateEntered", 2, "Train"),
            _event(5, "TaskStateEntered", 3, "TrainOne"),
            _event(6, "LambdaFunctionFailed", 4, error="ModelCorruptError", cause=CAUSE),
            _event(7, "ExecutionFailed", 5),
        ]

    def get_paginator(self, name):
        return SimpleNamespace(paginate=getattr(self, f"_{name}"))

    def _list_executions(self, *, stateMachineArn, PaginationConfig):
        place = f"arn:aws:states:x:1:execution:{stateMachineArn}"
        found = [{"name": name, "executionArn": f"{place}:{name}"} for name in self.found]
        yield {"executions": found[:2]}
        yield {"executions": found[2:]}

    def _get_execution_history(self, *, executionArn):
        yield {"events": self.events[:4]}
        yield {"events": self.events[4:]}

    def describe_execution(self, executionArn):
        name = executionArn.rpartition(":")[2]
        self.looked_at.append(name)
        status, project, more = self.found[name]
        asked = {"project": project, "run_id": name.split("-")[0], "source_keys": ["inbox/a.csv"]}
        asked |= {"refit_of": "v0"} if name == "r2-bb" else {"how": "recalibrate"}
        return {"executionArn": executionArn, "name": name, "status": status, "startDate": START,
                "stopDate": START + timedelta(seconds=61), "input": json.dumps(asked), **more}  # fmt: skip

    def stop_execution(self, **given):
        self.stopped.append(given)


@pytest.fixture
def machines(monkeypatch):
    """A stage whose state machines these are."""
    found = _Machines()
    target = SimpleNamespace(
        client=lambda _: found, outputs={"TrainingStateMachine": "training"}, stage="local"
    )
    for module in (runs, main):
        monkeypatch.setattr(module, "Target", lambda _: target)
    return found


def _run(*arguments):
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    return done.exit_code, done.output


@pytest.mark.usefixtures("machines")
def test_the_runs_of_a_project_are_listed_with_what_came_of_them():
    """The newest first; those of other projects are left out."""
    status, said = _run("runs", "housing")
    assert status == 0
    assert said.index("r3") < said.index("r2") < said.index("r1")
    assert "ChampionKept" in said
    assert "61 s" in said
    assert "x-cc" not in said
    status, said = _run("runs", "housing", "--json", "--limit", "2")
    assert [run["run_id"] for run in json.loads(said)] == ["r3", "r2"]
    assert "start one: noria train messages" in _run("runs", "messages")[1]


@pytest.mark.usefixtures("machines")
def test_what_failed_is_said_in_plain_words():
    """The state, its reason in a line without a stack trace, and what to do."""
    status, said = _run("logs", "housing", "r2")
    assert status == 0
    assert "run r2: failed" in said
    assert "Prepare                        2.0 s" in said
    assert "TrainOne                     running" in said
    assert said.count("failed: ModelCorruptError: the bundle lacks a part") == 1
    assert "noria train housing --run-id r2" in said
    assert "xxx" not in said
    found = json.loads(_run("logs", "housing", "r2-bb", "--json")[1])  # by its execution's name too
    failures = {state["name"]: state["failures"] for state in found["states"]}
    assert failures["Prepare"] == []
    assert failures["TrainOne"] == ["ModelCorruptError: the bundle lacks a part"]


def test_only_what_runs_is_cancelled(machines):
    """With the name of who did it."""
    assert _run("cancel", "housing", "r3")[0] == 0
    (stopped,) = machines.stopped
    assert stopped["executionArn"].endswith(":r3-aa")
    assert stopped["cause"].startswith("cancelled by ")
    for run, reason in (("r1", "does not run: it ended"), ("none", "has no run 'none'")):
        status, said = _run("cancel", "housing", run)
        assert (status, reason in said) == (1, True)
    assert len(machines.stopped) == 1


def test_a_run_is_found_by_its_name_without_a_look_into_the_others(machines):
    """AWS allows some fifteen looks a second, and the last runs are five hundred."""
    target = runs.Target("local")
    assert runs.known_run(target, "housing", "r1").run_id == "r1"
    assert machines.looked_at == ["r1-dd"]
    assert runs.known_run(target, "housing", "r9") is None
    assert len(machines.looked_at) == 1 + len(machines.found)  # one may be named otherwise


@pytest.mark.usefixtures("machines")
def test_a_known_run_has_its_own_files():
    """So `--run-id` alone goes on with it, as it began."""
    target = runs.Target("local")
    known = runs.known_run(target, "housing", "r2")
    assert (known.source_keys, known.status) == (("inbox/a.csv",), "FAILED")
    assert (known.refit_of, known.recalibrates) == ("v0", False)
    again = runs.known_run(target, "housing", "r1")
    assert (again.refit_of, again.recalibrates) == (None, True)
    assert runs.known_run(target, "housing", "r9") is None
    assert runs.again_text("p", "r1", "prod") == "noria train p --run-id r1 --stage prod"


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        ("States.Timeout", None, "States.Timeout"),
        ("E", "no JSON", "E: no JSON"),
        ("E", '["a list"]', "E: ['a list']"),
        (None, None, "no reason was given"),
        ("E", "x" * 1000, f"E: {'x' * 400}…"),
    ],
)
def test_any_cause_is_told_in_a_line(error, cause, said):
    """Of a Lambda it is JSON with a stack trace, of a job a text, of a time-out nothing."""
    assert plain(error, cause) == said
