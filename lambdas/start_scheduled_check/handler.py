"""Start the check that a schedule asks for, unless nothing can have changed."""

from noria.steps.start_scheduled_check import (
    StartScheduledCheckRequest,
    StartScheduledCheckResult,
    start_scheduled_check,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(StartScheduledCheckRequest)
def lambda_handler(request: StartScheduledCheckRequest) -> StartScheduledCheckResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return start_scheduled_check(
        request,
        spec=services.spec(request.project),
        store=services.artifacts,
        aliases=services.aliases,
        executions=services.executions,
    )
