"""What `noria train` refuses before anything starts; the rest is in tests/integration."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from cli import training
from cli.training import champion_to_refit, start_once, wait_for
from infra.names import SPECS
from noria.errors import NoChampionError
from noria.spec.loader import load_project
from tests.support.fakes import MemoryAliases


def _asked(project, **how):
    target = SimpleNamespace(aliases=MemoryAliases())
    return champion_to_refit(target, load_project(project, SPECS), **how)


@pytest.mark.parametrize(
    ("project", "refit", "said"),
    [
        ("customers", True, "name one of them"),
        ("tickets", False, "tickets: recalibration needs calibrated classes and a split by time"),
        ("housing", False, "housing: recalibration needs calibrated classes and a split by time"),
    ],
)
def test_a_recalibration_that_cannot_be_is_refused_with_the_reason(project, refit, said):
    """Before a file is uploaded."""
    with pytest.raises(ValueError, match=said):
        _asked(project, refit=refit, recalibrate=True)


@pytest.mark.parametrize("how", [(True, False), (False, True)])
def test_what_is_not_there_is_neither_refitted_nor_recalibrated(how):
    """A first training needs neither."""
    with pytest.raises(NoChampionError):
        _asked("customers", refit=how[0], recalibrate=how[1])
    assert _asked("customers", refit=False, recalibrate=False) is None


@pytest.mark.parametrize(
    ("error", "is_there"), [("ExecutionAlreadyExists", True), ("ExecutionLimitExceeded", False)]
)
def test_a_start_whose_answer_was_lost_is_the_execution_that_is_there(error, is_there):
    """The SDK asks again, and the name is nobody else's."""
    client = boto3.client(
        "stepfunctions", region_name="eu-west-1", aws_access_key_id="t", aws_secret_access_key="t"
    )
    machine = "arn:aws:states:eu-west-1:1:stateMachine:Training"
    with Stubber(client) as stub:
        stub.add_client_error("start_execution", error)
        if is_there:
            arn = start_once(client, machine, "r1-ab", {})
            assert arn == "arn:aws:states:eu-west-1:1:execution:Training:r1-ab"
        else:
            with pytest.raises(ClientError, match=error):
                start_once(client, machine, "r1-ab", {})


class _Machine:
    """An execution that gets further at each look; it counts the events that are read."""

    def __init__(self, *looks):
        self.looks, self.events, self.n_read = list(looks), [], 0

    def describe_execution(self, executionArn):
        for kind, name in self.looks.pop(0):
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=len(self.events))
            how = "Entered" if kind.endswith("Entered") else "Exited"
            event = {"id": len(self.events) + 1, "type": kind, "timestamp": at}
            self.events.append({**event, f"state{how}EventDetails": {"name": name}})
        return {"status": "RUNNING" if self.looks else "SUCCEEDED", "output": '{"ok": 1}'}

    def get_paginator(self, _):
        return self

    def paginate(self, *, reverseOrder, PaginationConfig, **_):
        assert reverseOrder
        newest, size = self.events[::-1], PaginationConfig["PageSize"]
        for start in range(0, len(newest), size):
            page = newest[start : start + size]
            self.n_read += len(page)
            yield {"events": page}


def _told(monkeypatch, machine):
    monkeypatch.setattr(training.time, "sleep", lambda _: None)
    monkeypatch.setattr(training, "_PAGE", 2)
    told = []
    end = wait_for(machine, "arn", lambda *what: told.append(what), 0.0)
    assert (end.status, end.output) == ("SUCCEEDED", {"ok": 1})
    return told


def test_each_state_is_told_once_as_it_begins_and_ends(monkeypatch):
    """In the order of the events, though the newest are read first; waits are not told."""
    machine = _Machine(
        [("TaskStateEntered", "Prepare")],
        [],
        [
            ("TaskStateExited", "Prepare"),
            ("WaitStateEntered", "Pause"),
            ("WaitStateExited", "Pause"),
            ("MapStateEntered", "Train"),
        ],
        [("MapStateExited", "Train")],
    )
    assert _told(monkeypatch, machine) == [
        ("Prepare", "started", 0.0),
        ("Prepare", "finished", 1.0),
        ("Train", "started", 0.0),
        ("Train", "finished", 1.0),
    ]


def test_a_state_that_takes_long_gives_a_sign_of_life_every_few_seconds(monkeypatch):
    """A parallel state as a whole, not its parts; in a log as in a terminal."""
    looks = [[("TaskStateEntered", "Prepare")], *[[]] * 12, [("TaskStateExited", "Prepare")]]
    looks += [[("MapStateEntered", "Train")], [("TaskStateEntered", "One")], *[[]] * 7]
    looks += [[("TaskStateExited", "One"), ("MapStateExited", "Train")]]
    seconds = iter(range(10_000))
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(seconds)))
    told = [(state, what) for state, what, _ in _told(monkeypatch, _Machine(*looks))]
    assert told.count(("Prepare", "running")) == 2
    assert told.count(("Train", "running")) >= 1
    assert ("One", "running") not in told


def test_a_look_reads_what_is_new_and_not_the_history_from_its_beginning(monkeypatch):
    """A long training has thousands of events and is looked at every second."""
    steps = [[("TaskStateEntered", f"s{n}"), ("TaskStateExited", f"s{n}")] for n in range(50)]
    machine = _Machine(*steps)
    assert len(_told(monkeypatch, machine)) == 100
    assert machine.n_read <= 200  # from the beginning each time: 2,550
