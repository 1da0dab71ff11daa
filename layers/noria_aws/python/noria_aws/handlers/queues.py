"""Messages of queues: one at a time, those that fail come back."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from noria_aws.aws.sns import ALERT_ATTRIBUTE
from noria_aws.handlers.runtime import facts_of, log_event


def queue_handler(
    take: Callable[[dict[str, Any]], object],
) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Make a Lambda handler of what is done with one message of an SQS queue.

    Messages that fail are reported one by one, so that the others of the batch are done; after
    the queue's attempts they go to its dead-letter queue.
    """

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        failed = []
        for record in event["Records"]:
            try:
                take(record)
            except Exception as error:  # noqa: BLE001 - one bad message may not hold the others
                facts = facts_of(error)
                log_event("message_failed", message_id=record.get("messageId"), **facts)
                failed.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failed}

    return handler


def alert_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the alert of a queue's message, delivered raw or in the topic's envelope."""
    attributes = record.get("messageAttributes") or {}
    if ALERT_ATTRIBUTE in attributes:
        text = attributes[ALERT_ATTRIBUTE]["stringValue"]
    else:
        text = json.loads(record["body"])["MessageAttributes"][ALERT_ATTRIBUTE]["Value"]
    alert: dict[str, Any] = json.loads(text)
    return alert
