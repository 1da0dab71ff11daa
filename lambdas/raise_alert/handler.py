"""Tell people once: what a state machine says, or how one of its executions ended."""

from collections.abc import Mapping
from typing import Any

from noria.steps.raise_alert import RaiseAlertRequest, RaiseAlertResult, raise_alert
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.executions import alert_of_execution
from noria_aws.handlers.runtime import step_handler


@step_handler(RaiseAlertRequest)
def run(request: RaiseAlertRequest) -> RaiseAlertResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return raise_alert(
        request,
        spec=services.spec(request.project),
        claims=services.claims,
        topic=services.alert_topic,
        clock=services.clock,
    )


def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Take the request of a state, or the event of an execution that did not succeed."""
    return run(alert_of_execution(event) if "detail-type" in event else event, context)
