"""What `noria train` refuses before anything starts; the rest is in tests/integration."""

from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from cli.training import champion_to_refit, start_once
from infra.config import SPECS
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
