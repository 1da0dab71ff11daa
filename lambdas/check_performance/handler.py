"""Measure and estimate how good the champion is."""

from noria.steps.check_performance import (
    CheckPerformanceRequest,
    CheckPerformanceResult,
    check_performance,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(CheckPerformanceRequest)
def lambda_handler(request: CheckPerformanceRequest) -> CheckPerformanceResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return check_performance(
        request,
        store=services.artifacts,
        aliases=services.aliases,
        clock=services.clock,
        spec=services.spec(request.project),
    )
