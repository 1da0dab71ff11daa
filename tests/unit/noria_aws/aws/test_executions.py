"""Executions by their names."""

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import ANY, Stubber

from noria.errors import SettingsError
from noria_aws.aws.executions import StepFunctions

MACHINE = "arn:aws:states:eu-west-1:1:stateMachine:Training-x"
EXECUTION = "arn:aws:states:eu-west-1:1:execution:Training-x:r1"
AT = datetime(2026, 3, 1, tzinfo=UTC)
ENTERED = {
    "id": 2, "timestamp": AT, "type": "TaskStateEntered",
    "stateEnteredEventDetails": {"name": "PrepareDataset"},
}  # fmt: skip
SCHEDULED = {"id": 3, "timestamp": AT, "type": "TaskScheduled"}


@pytest.fixture
def stub():
    client = boto3.client(
        "stepfunctions", region_name="eu-west-1", aws_access_key_id="t", aws_secret_access_key="t"
    )
    with Stubber(client) as stubber:
        yield stubber, StepFunctions(client, {"Training": MACHINE})


def _described(status, **more):
    return {"executionArn": EXECUTION, "stateMachineArn": MACHINE, "startDate": AT,
            "status": status, "input": '{"project": "p"}', **more}  # fmt: skip


def test_a_name_that_is_taken_starts_nothing(stub):
    """The caller decides whether it is the same run."""
    stubber, machines = stub
    stubber.add_response(
        "start_execution",
        {"executionArn": EXECUTION, "startDate": AT},
        {"stateMachineArn": MACHINE, "name": "r1", "input": '{"project": "p"}'},
    )
    assert machines.start("Training", "r1", {"project": "p"})
    stubber.add_client_error("start_execution", "ExecutionAlreadyExists")
    assert not machines.start("Training", "r1", {"project": "p"})
    stubber.add_client_error("start_execution", "AccessDeniedException")
    with pytest.raises(SettingsError):
        machines.start("Training", "r2", {})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (_described("RUNNING"), ("p", "running", AT, {}, None, "PrepareDataset")),
        (
            _described("SUCCEEDED", output='{"outcome": "x"}'),
            ("p", "succeeded", AT, {"outcome": "x"}, None, "PrepareDataset"),
        ),
        (
            _described("FAILED", error="Broken", cause="a cell"),
            ("p", "failed", AT, {}, "Broken", "PrepareDataset"),
        ),
    ],
)
def test_how_one_stands_is_said_without_its_cause(stub, found, expected):
    """A cause may quote a cell."""
    stubber, machines = stub
    stubber.add_response("describe_execution", found, {"executionArn": EXECUTION})
    events = {"events": [SCHEDULED, ENTERED]}
    asked = {"executionArn": EXECUTION, "reverseOrder": True, "maxResults": ANY,
             "includeExecutionData": False}  # fmt: skip
    stubber.add_response("get_execution_history", events, asked)
    assert machines.read("Training", "r1") == expected


def test_one_that_is_not_there_is_none(stub):
    """No error of AWS reaches the caller."""
    stubber, machines = stub
    stubber.add_client_error("describe_execution", "ExecutionDoesNotExist")
    assert machines.read("Training", "none") is None
