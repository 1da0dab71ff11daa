"""The routes of the operations reach the operator; unknown projects do not."""

import pytest

from infra.names import SPECS
from noria.api.routes import OPERATE, ROUTES
from noria.errors import UnknownProjectError
from noria.spec.loader import load_spec
from noria_aws.handlers.http_api import Call
from noria_aws.handlers.operations import operations_of


class _Operator:
    """Remembers what it was asked."""

    def __getattr__(self, name):
        return lambda *arguments: {name: arguments}


CALL = Call("tickets", {"b": 1}, "x7", "key k1")
MINE = {route.operation for route in ROUTES if route.function == OPERATE}


def _operations():
    return operations_of(_Operator(), ["tickets"], lambda name: load_spec(SPECS / f"{name}.toml"))


def test_every_route_has_its_operation():
    """With what it needs of the call: body, what the path names, who asks."""
    operations = _operations()
    assert set(operations) == MINE
    assert operations["document"](CALL)["components"]["schemas"]["Inputs.tickets"]
    answers = {name: operation(CALL) for name, operation in operations.items()}
    del answers["document"]
    assert answers == {
        "start_check": {"start_check": ("tickets", {"b": 1})},
        "check": {"read_check": ("tickets", "x7")},
        "start_training": {"start_training": ("tickets", {"b": 1})},
        "training": {"read_training": ("tickets", "x7")},
        "promote": {"promote": ("tickets", {"b": 1}, "key k1")},
        "roll_back": {"roll_back": ("tickets", {"b": 1}, "key k1")},
        "answer_approval": {"answer_approval": ("tickets", {"b": 1}, "key k1")},
    }


@pytest.mark.parametrize("name", sorted(MINE - {"document"}))
@pytest.mark.parametrize("project", ["nobody", None, "../tickets"])
def test_a_project_that_is_not_deployed_is_refused(name, project):
    """Before anything is read."""
    with pytest.raises(UnknownProjectError):
        _operations()[name](CALL._replace(project=project))
