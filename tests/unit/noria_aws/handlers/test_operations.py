"""The routes of the operations reach the operator; unknown projects do not."""

import json

import pytest

from infra.names import SPECS
from noria.access.audit import Auditor
from noria.api.routes import OPERATE, ROUTES
from noria.errors import UnknownProjectError
from noria.spec.loader import load_spec
from noria_aws.handlers.http_api import Call
from noria_aws.handlers.operations import operations_of
from tests.support.access import ADMIN, USER, MemoryAuditLog
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock


class _Operator:
    """Remembers what it was asked."""

    def __getattr__(self, name):
        return lambda *arguments: {name: arguments}


CALL = Call("tickets", {"b": 1}, ADMIN, "x7")
MINE = {route.operation for route in ROUTES if route.function == OPERATE}


def _operations(log=None, operator=None):
    log = log or MemoryAuditLog()
    auditor = Auditor(log, MemoryArtifacts(), MemoryAliases(), SteppingClock(), lambda *_: None)
    projects = ["housing", "tickets"]
    return operations_of(
        operator or _Operator(),
        projects,
        lambda name: load_spec(SPECS / f"{name}.toml"),
        auditor,
        log,
    )


def test_every_route_has_its_operation():
    """With what it needs of the call: body, what the path names, who asks."""
    operations = _operations()
    assert set(operations) == MINE
    assert operations["document"](CALL)["components"]["schemas"]["Inputs.tickets"]
    answers = {name: operation(CALL) for name, operation in operations.items()}
    del answers["document"], answers["audit"]
    assert answers == {
        "start_check": {"start_check": ("tickets", {"b": 1})},
        "check": {"read_check": ("tickets", "x7")},
        "start_training": {"start_training": ("tickets", {"b": 1})},
        "training": {"read_training": ("tickets", "x7")},
        "promote": {"promote": ("tickets", {"b": 1}, ADMIN.actor)},
        "roll_back": {"roll_back": ("tickets", {"b": 1}, ADMIN.actor)},
        "answer_approval": {"answer_approval": ("tickets", {"b": 1}, ADMIN.actor)},
        "baseline": {"set_baseline": ("tickets", {"b": 1})},
    }


@pytest.mark.parametrize("name", sorted(MINE - {"document", "audit"}))
@pytest.mark.parametrize("project", ["nobody", None, "../tickets"])
def test_a_project_that_is_not_deployed_is_refused(name, project):
    """Before anything is read."""
    with pytest.raises(UnknownProjectError):
        _operations()[name](CALL._replace(project=project))


def test_what_changes_something_is_written_down_and_what_reads_is_not():
    """Before and after, with who asked and what for; a body that is no object too."""
    log = MemoryAuditLog()
    operations = _operations(log)
    for route in ROUTES:
        if route.operation in MINE:
            operations[route.operation](CALL._replace(body=[1]))
    changing = sorted(r.operation for r in ROUTES if r.operation in MINE and r.method == "POST")
    assert sorted(e.operation for e in log.entries if e.outcome == "done") == changing
    assert [e.outcome for e in log.entries] == ["asked", "done"] * len(changing)
    assert {e.actor for e in log.entries} == {ADMIN.actor}
    assert {json.loads(e.request)["body"][0] for e in log.entries} == {1}


def test_an_unknown_project_is_not_written_down():
    """Whoever asks for one fills no log."""
    log = MemoryAuditLog()
    with pytest.raises(UnknownProjectError):
        _operations(log)["promote"](CALL._replace(project="nobody"))
    assert log.entries == []


def test_a_key_of_one_project_is_shown_this_one_alone():
    """In the document, and of the audit log."""
    log = MemoryAuditLog()
    operations = _operations(log)
    operations["promote"](CALL)
    operations["promote"](CALL._replace(project="housing"))
    mine = CALL._replace(grant=USER._replace(projects=("housing",)))
    schemas = operations["document"](mine)["components"]["schemas"]
    assert "Inputs.housing" in schemas
    assert "Inputs.tickets" not in schemas
    assert {e["project"] for e in operations["audit"](mine)["entries"]} == {"housing"}
    assert len(operations["audit"](CALL)["entries"]) == 4
