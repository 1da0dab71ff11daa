"""What EventBridge says of an execution becomes the request of an alert."""

import json

import pytest

from noria.records.alert import EVENTS
from noria_aws.handlers.executions import alert_of_execution


def _event(**detail):
    """Return an event as AWS documents it."""
    usual = {
        "executionArn": "arn:aws:states:eu-west-1:1:execution:Training:r1",
        "stateMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:Training",
        "name": "r1",
        "status": "FAILED",
        "input": json.dumps({"project": "loans", "run_id": "r1"}),
        "inputDetails": {"included": True},
        "output": None,
        "redriveCount": 0,
        "error": "TrainingFailedError",
        "cause": "no rows are left",
    }
    return {"detail-type": "Step Functions Execution Status Change", "detail": usual | detail}


def test_a_failure_names_the_run_the_error_and_its_cause():
    """People read it without opening a console."""
    assert alert_of_execution(_event()) == {
        "project": "loans",
        "event": "RunFailed",
        "occurrence": "r1",
        "summary": "r1: TrainingFailedError: no rows are left",
    }


@pytest.mark.parametrize(
    "cause",
    [
        {
            "errorType": "TrainingFailedError",
            "errorMessage": "no rows are left",
            "stackTrace": ["at x.py"],
        },
        {"TrainingJobName": "j", "FailureReason": "no rows are left", "Environment": {"A": "b"}},
        {"JobName": "j", "ErrorMessage": "no rows are left", "Arguments": {"--task": "t"}},
    ],
    ids=["lambda", "sagemaker", "glue"],
)
def test_of_a_services_report_only_the_sentence_is_told(cause):
    """Neither a stack trace nor the settings of a job."""
    request = alert_of_execution(_event(cause=json.dumps(cause)))
    assert request["summary"] == "r1: TrainingFailedError: no rows are left"


def test_what_a_foreign_error_quotes_is_not_told():
    """An alert leaves the bucket; a message of Python's or a library's may hold a cell."""
    report = {"errorType": "KeyError", "errorMessage": "'Ana Gómez'", "stackTrace": []}
    request = alert_of_execution(_event(error="KeyError", cause=json.dumps(report)))
    assert request["summary"].startswith("r1: KeyError: not foreseen")
    assert "Ana" not in request["summary"]


@pytest.mark.parametrize("cause", ["[1]", "{}", "not { json"])
def test_any_other_cause_is_told_as_it_is(cause):
    """Nothing that a service says is lost."""
    assert alert_of_execution(_event(cause=cause))["summary"].endswith(cause)


def test_a_time_out_and_a_stop_have_words_of_their_own():
    """AWS sends neither an error nor a cause with them."""
    timed_out = alert_of_execution(_event(status="TIMED_OUT", error=None, cause=None))
    assert timed_out["event"] == "RunFailed"
    assert timed_out["summary"] == "r1: it took longer than its state machine allows"
    stopped = alert_of_execution(_event(status="ABORTED", error=None, cause="wrong file"))
    assert stopped["event"] == "RunStopped"
    assert stopped["summary"] == "r1: it was stopped before its end: wrong file"
    assert {timed_out["event"], stopped["event"]} <= set(EVENTS)


def test_the_key_of_a_file_names_the_project_of_a_batch():
    """The event of an upload knows no more."""
    event = _event(input=json.dumps({"key": "batch-inbox/loans/may.csv", "sequencer": "1"}))
    assert alert_of_execution(event)["project"] == "loans"


def test_the_same_event_twice_is_one_alert_and_a_second_failure_another():
    """EventBridge delivers at least once; a redriven run keeps its name."""
    first, redriven = _event(), _event(redriveCount=1)
    assert alert_of_execution(first) == alert_of_execution(_event())
    assert alert_of_execution(first)["occurrence"] != alert_of_execution(redriven)["occurrence"]


@pytest.mark.parametrize("given", [None, "{}"])
def test_an_input_without_a_project_is_refused(given):
    """The event then waits in the dead-letter queue, which has an alarm."""
    with pytest.raises(KeyError):
        alert_of_execution(_event(input=given))
