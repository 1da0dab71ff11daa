"""Deliver the alerts of a queue to chat services; what a channel refuses comes again."""

from typing import Any

from noria.steps.notify import NotifyRequest, NotifyResult, notify
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.queues import alert_of, queue_handler


def deliver(record: dict[str, Any]) -> NotifyResult:
    """Run the step on one message of the queue."""
    services, alert = bootstrap(), alert_of(record)
    return notify(
        NotifyRequest(alert),
        spec=services.spec(str(alert["project"])),
        claims=services.claims,
        webhooks=services.webhooks,
        clock=services.clock,
    )


lambda_handler = queue_handler(deliver)
