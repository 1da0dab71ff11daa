"""What admins start and decide over the API."""

import json
from datetime import timedelta

import pytest

from noria.api.operations import Operator, OperatorPorts
from noria.errors import (
    AliasConflictError,
    InvalidInputError,
    NoApprovalError,
    NoChampionError,
    NoRunError,
)
from noria.ports import Execution
from noria.records.approval import PendingApproval
from noria.records.codec import to_bytes
from noria.storage.keys import APPROVAL, SOURCE_KEYS, run_key
from tests.support.fakes import FixedClock, MemoryExecutions, MemoryWaiting
from tests.support.production import START, Production
from tests.support.trained import tiny_bundle

HASH = "0123456789abcdef"


class _Api:
    """A project with two versions, three files and its operator."""

    def __init__(self, *, waits=True):
        self.p, self.executions = Production(), MemoryExecutions()
        self.waiting = MemoryWaiting(is_there=waits)
        for name in ("a.csv", "b.csv"):
            self.p.store.put(f"inbox/loans/{HASH}/{name}", b"x")
        self.p.store.put("inbox/loans/", b"")  # the console's idea of a folder
        self.p.add_version("v2", tiny_bundle())
        self.operator = Operator(
            OperatorPorts(
                self.p.store, self.p.aliases, self.p.state, self.executions, self.waiting,
                FixedClock(START), lambda _: self.p.spec,
            )
        )  # fmt: skip

    @property
    def started(self):
        ((key, message),) = self.executions.started.items()
        return key, message

    def refused(self, operation, *arguments):
        with pytest.raises(InvalidInputError) as error:
            getattr(self.operator, operation)("loans", *arguments)
        (fault,) = error.value.details["errors"]
        return fault["field"]


@pytest.mark.parametrize(
    ("body", "may_retrain", "forced"),
    [(None, False, False), ({"retrain": True}, True, False), ({"force": True}, True, True)],
)
def test_a_check_is_started_as_the_schedule_starts_it(body, may_retrain, forced):
    """With an id to ask for; without asking, it trains nothing."""
    api = _Api()
    check_id = api.operator.start_check("loans", body)["check_id"]
    message = {
        "project": "loans",
        "check_id": check_id,
        "may_retrain": may_retrain,
        "forced": forced,
    }
    assert api.started == (("Monitoring", check_id), message)
    assert check_id.startswith("20260301t000000-")


def test_how_a_check_stands_is_its_execution():
    """While it runs the state, then what it found."""
    api = _Api()
    api.operator.start_check("loans", {"check_id": "mine"})
    shown = api.operator.read_check("loans", "mine")
    assert (shown["status"], shown["state"]) == ("running", "PrepareDataset")
    output = {"outcome": "ModelHealthy", "health": "healthy", "summary": "s", "training": "arn"}
    api.executions.standing["mine"] = Execution("loans", "succeeded", START, output, None, "End")
    shown = api.operator.read_check("loans", "mine")
    assert shown == {
        "project": "loans", "check_id": "mine", "status": "succeeded", "outcome": "ModelHealthy",
        "started_at": START.isoformat(), "health": "healthy", "summary": "s", "training": "arn",
    }  # fmt: skip
    api.executions.standing["mine"] = Execution(
        "loans", "failed", START, {}, "Broken", "CheckDrift"
    )
    assert api.operator.read_check("loans", "mine")["error"] == "Broken"


def test_the_same_id_again_is_the_same_run_and_no_other_projects():
    """A caller whose answer was lost asks again and hears how it stands; nothing is written."""
    api = _Api()
    first = api.operator.start_training("loans", {"run_id": "r1"})
    for number in range(250):
        api.p.store.put(f"inbox/loans/{HASH}/f{number:03}.csv", b"x")
    before = dict(api.p.store.objects)
    again = api.operator.start_training("loans", {"run_id": "r1"})
    assert (first["status"], again["status"]) == ("running", "running")
    assert api.p.store.objects == before
    assert len(api.executions.started) == 1
    api.executions.standing["r1"] = Execution("loans", "failed", START, {}, "Broken", None)
    assert api.operator.start_training("loans", {"run_id": "r1"})["status"] == "failed"
    api.executions.standing["r1"] = Execution("others", "running", START, {}, None, None)
    assert api.refused("start_training", {"run_id": "r1"}) == "run_id"
    with pytest.raises(NoRunError):
        api.operator.read_training("loans", "r1")


@pytest.mark.parametrize("run_id", ["none", "../x", "", "x" * 61])
def test_a_run_that_is_not_there_is_said_to_be_none(run_id):
    """Whatever its id tries."""
    for read in (_Api().operator.read_training, _Api().operator.read_check):
        with pytest.raises(NoRunError):
            read("loans", run_id)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (None, ["a.csv", "b.csv"]),
        (["b.csv"], ["b.csv"]),
        ([f"inbox/loans/{HASH}/a.csv"], ["a.csv"]),
    ],
)
def test_a_training_takes_all_files_of_the_inbox_or_those_that_are_named(files, names):
    """By name or by key; a search of its own without the champion."""
    api = _Api()
    body = {} if files is None else {"files": files}
    shown = api.operator.start_training("loans", body)
    (machine, run_id), message = api.started
    assert (machine, run_id, shown["n_files"]) == ("Training", shown["run_id"], len(names))
    assert message == {
        "project": "loans", "run_id": run_id,
        "source_keys": tuple(f"inbox/loans/{HASH}/{name}" for name in names),
    }  # fmt: skip


def test_a_name_that_was_uploaded_twice_is_its_newest_upload(monkeypatch):
    """An earlier one is had by its key."""
    api = _Api()
    new = "inbox/loans/fedcba9876543210/a.csv"
    found = [*api.p.store.under("inbox/loans/")]
    newer = found[0]._replace(key=new, modified_at=found[0].modified_at + timedelta(hours=1))
    monkeypatch.setattr(api.p.store, "under", lambda _: iter([newer, *found]))
    api.operator.start_training("loans", {"files": ["a.csv"]})
    assert api.started[1]["source_keys"] == (new,)


def test_many_files_are_passed_as_a_list_in_the_run():
    """Step Functions takes 256 KiB."""
    api = _Api()
    for number in range(250):
        api.p.store.put(f"inbox/loans/{HASH}/f{number:03}.csv", b"x")
    run_id = api.operator.start_training("loans", None)["run_id"]
    key = run_key("loans", run_id, SOURCE_KEYS)
    assert api.started[1]["source_keys"] == (key,)
    assert len(json.loads(api.p.store.get(key))) == 252


@pytest.mark.parametrize(
    ("how", "more"), [("refit", {"refit_of": "v1"}), ("recalibrate", {"how": "recalibrate"})]
)
def test_a_training_may_refit_or_recalibrate_the_champion(how, more):
    """As `noria train --refit` and `--recalibrate` do; both need a champion."""
    api = _Api()
    calibrated = {"calibration": {"method": "sigmoid"}, "split": {"kind": "time"}}
    api.p.spec = Production(**calibrated).spec
    api.operator.start_training("loans", {"how": how})
    assert api.started[1].items() >= more.items()
    fresh = _Api()
    fresh.p.spec = api.p.spec
    fresh.p.aliases.__init__()
    with pytest.raises(NoChampionError):
        fresh.operator.start_training("loans", {"how": how})


@pytest.mark.parametrize(
    ("operation", "body", "field"),
    [
        ("start_check", {"retrian": True}, "retrian"),
        ("start_check", {"retrain": "yes"}, "retrain"),
        ("start_check", {"check_id": "../x"}, "check_id"),
        ("start_check", [], "body"),
        ("start_training", {"how": "guess"}, "how"),
        ("start_training", {"how": "recalibrate"}, "how"),
        ("start_training", {"files": []}, "files"),
        ("start_training", {"files": "a.csv"}, "files"),
        ("start_training", {"files": ["a.csv", "c.csv"]}, "files.1"),
        ("start_training", {"files": [None]}, "files.0"),
        ("start_training", {"run_id": 5}, "run_id"),
    ],
)
def test_a_request_that_cannot_be_taken_names_its_field_and_starts_nothing(operation, body, field):
    """No silent default."""
    api = _Api()
    assert api.refused(operation, body) == field
    assert not api.executions.started


def test_an_empty_inbox_is_said():
    """Nothing is started on nothing."""
    api = _Api()
    for key in [k for k in api.p.store.objects if k.startswith("inbox/")]:
        del api.p.store.objects[key]
    assert api.refused("start_training", None) == "files"


def test_a_version_is_promoted_and_taken_back_with_reason_and_caller():
    """The history says whose key it was."""
    api = _Api()
    shown = api.operator.promote("loans", {"model_version": "v2", "reason": "by us"}, "key k1")
    assert (shown["champion"], shown["previous_champion"]) == ("v2", "v1")
    shown = api.operator.roll_back("loans", {"from": "v2"}, "key k2")
    assert (shown["champion"], shown["previous_champion"]) == ("v1", "v2")
    again = {"from": "v1", "to": "v2", "reason": "no"}
    assert api.operator.roll_back("loans", again, "key k2")["champion"] == "v2"
    newest, back, promoted, _ = api.p.aliases.history("loans")
    assert [(e.kind, e.actor, e.reason) for e in (promoted, back, newest)] == [
        ("manual", "key k1", "by us"), ("rollback", "key k2", "rolled back over the API"),
        ("rollback", "key k2", "no"),
    ]  # fmt: skip


def test_a_rollback_that_is_sent_again_does_not_bring_the_bad_champion_back():
    """A caller whose answer was lost asks again; by then another one serves."""
    api, body = _Api(), {"from": "v2"}
    api.operator.promote("loans", {"model_version": "v2", "reason": "bad"}, "key k1")
    assert api.operator.roll_back("loans", body, "key k1")["champion"] == "v1"
    with pytest.raises(AliasConflictError, match="v2 does not serve; the champion is v1"):
        api.operator.roll_back("loans", body, "key k1")
    assert api.p.aliases.read("loans").champion == "v1"


@pytest.mark.parametrize(
    ("operation", "body", "field"),
    [
        ("promote", {"model_version": "v9", "reason": "r"}, "model_version"),
        ("promote", {"model_version": "v2"}, "reason"),
        ("promote", {"model_version": "v2", "reason": " "}, "reason"),
        ("promote", {"model_version": "v2", "reason": "x" * 501}, "reason"),
        ("promote", {"reason": "r"}, "model_version"),
        ("roll_back", {"from": "v1", "to": "v9"}, "to"),
        ("roll_back", {"from": "v1"}, "to"),
        ("roll_back", None, "from"),
        ("answer_approval", {"model_version": "v2"}, "approve"),
        ("answer_approval", {"model_version": "v2", "approve": 1}, "approve"),
        ("answer_approval", {"approve": True}, "model_version"),
    ],
)
def test_a_move_that_cannot_be_names_its_field_and_moves_nothing(operation, body, field):
    """An unknown version, no reason, no earlier champion."""
    api = _Api()
    before = api.p.aliases.read("loans")
    assert api.refused(operation, body, "key k1") == field
    assert api.p.aliases.read("loans") == before


@pytest.mark.parametrize("is_approved", [True, False])
def test_the_rollout_that_waits_is_answered_in_the_callers_name(is_approved):
    """And one that waits no more, or none, is said."""
    pending = to_bytes(PendingApproval("v2", "run", "token", "2026-03-01T00:00:00+00:00"))
    api, body = _Api(), {"approve": is_approved, "model_version": "v2"}
    with pytest.raises(NoApprovalError):
        api.operator.answer_approval("loans", body, "key k1")
    api.p.state.write("loans", APPROVAL, pending, expected_revision=0)
    with pytest.raises(NoApprovalError, match="v5 waits for no approval: v2 does"):
        api.operator.answer_approval("loans", body | {"model_version": "v5"}, "key k1")
    assert not api.waiting.answers
    shown = api.operator.answer_approval("loans", body, "key k1")
    assert shown == {"project": "loans", "model_version": "v2", "approved": is_approved}
    assert api.waiting.answers == [("token", is_approved, "key k1")]
    late = _Api(waits=False)
    late.p.state.write("loans", APPROVAL, pending, expected_revision=0)
    with pytest.raises(NoApprovalError, match="waits no more"):
        late.operator.answer_approval("loans", body, "key k1")
