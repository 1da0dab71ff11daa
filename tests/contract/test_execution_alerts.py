"""Executions that do not succeed are told, by the rule on their status: on the running emulator."""

import json
import os
import time
from contextlib import contextmanager

import pytest

from cli.training import start_once

PROJECT = "housing"
WRONG = {"project": PROJECT, "source_keys": 7}  # keys are a list


@pytest.fixture(scope="module")
def published(target):
    """Return a function that waits for the next alert of an execution's name."""
    sqs, sns = target.client("sqs"), target.client("sns")
    queue = sqs.create_queue(QueueName=f"alerts-{os.urandom(4).hex()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    allowed = {
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": arn["QueueArn"],
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    subscription = sns.subscribe(
        TopicArn=target.outputs["AlertTopic"], Protocol="sqs", Endpoint=arn["QueueArn"],
        Attributes={"RawMessageDelivery": "true"}, ReturnSubscriptionArn=True,
    )  # fmt: skip
    seen = []

    def wait(name, seconds=60.0, events=("RunFailed", "RunStopped")):
        deadline = time.monotonic() + seconds
        while not (found := [a for a in seen if name in a["text"] and a["event"] in events]):
            assert time.monotonic() < deadline, f"no alert of {name}"
            answer = sqs.receive_message(
                QueueUrl=queue, WaitTimeSeconds=1, MessageAttributeNames=["All"]
            )
            for message in answer.get("Messages", []):
                seen.append(json.loads(message["MessageAttributes"]["alert"]["StringValue"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        (alert,) = found
        return alert

    yield wait
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=queue)


def _start(target, machine, message):
    name = f"t-{os.urandom(4).hex()}"
    client, arn = target.client("stepfunctions"), target.outputs[f"{machine}StateMachine"]
    return name, start_once(client, arn, name, message)


@contextmanager
def _waiting(target, machine, seconds):
    """Let a machine do nothing but wait, at most so long, while the test runs."""
    client, arn = target.client("stepfunctions"), target.outputs[f"{machine}StateMachine"]
    before = client.describe_state_machine(stateMachineArn=arn)["definition"]
    waits = {
        "QueryLanguage": "JSONata",
        "StartAt": "Wait",
        "TimeoutSeconds": seconds,
        "States": {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}},
    }
    client.update_state_machine(stateMachineArn=arn, definition=json.dumps(waits))
    try:
        yield client
    finally:
        client.update_state_machine(stateMachineArn=arn, definition=before)


def test_a_run_that_fails_is_told_with_its_error(target, published):
    """The task's own error ends the execution; no state of the machine alerts."""
    name, arn = _start(target, "Training", WRONG)
    alert = published(name)
    assert (alert["event"], alert["level"]) == ("RunFailed", "critical")
    ended = target.client("stepfunctions").describe_execution(executionArn=arn)
    assert alert["text"].startswith(f"{name}: {ended['error']}: ")
    assert "source_keys" in alert["text"]
    assert "stackTrace" not in alert["text"]
    started = published(name, events=("TrainingStarted",))
    assert (started["level"], started["text"]) == ("info", f"started by hand: run {name}")


def test_a_run_that_takes_too_long_is_told(target, published):
    """No state of its machine could say it."""
    with _waiting(target, "Monitoring", seconds=1) as client:
        name, arn = _start(target, "Monitoring", {"project": PROJECT})
        alert = published(name)
        assert client.describe_execution(executionArn=arn)["status"] == "TIMED_OUT"
    assert alert["event"] == "RunFailed"
    assert "longer than its state machine allows" in alert["text"]


def test_a_run_that_a_person_stops_is_told_as_that(target, published):
    """A warning: whoever stopped it knows, the others do not."""
    with _waiting(target, "Monitoring", seconds=60) as client:
        name, arn = _start(target, "Monitoring", {"project": PROJECT})
        client.stop_execution(executionArn=arn)
        alert = published(name)
    assert (alert["event"], alert["level"]) == ("RunStopped", "warning")
    assert alert["text"].endswith("it was stopped before its end")


def test_a_run_that_succeeds_is_not_told(target, published):
    """The control: a failed run's alert comes, its neighbour's does not."""
    quiet, arn = _start(target, "Monitoring", {"project": PROJECT})
    client = target.client("stepfunctions")
    while client.describe_execution(executionArn=arn)["status"] == "RUNNING":
        time.sleep(0.1)
    assert client.describe_execution(executionArn=arn)["status"] == "SUCCEEDED"
    loud, _ = _start(target, "Training", WRONG)
    published(loud)
    with pytest.raises(AssertionError, match="no alert"):
        published(quiet, seconds=1.0)
