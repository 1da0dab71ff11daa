"""Compare the window with training."""

from noria.steps.check_drift import CheckDriftRequest, CheckDriftResult, check_drift
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(CheckDriftRequest)
def lambda_handler(request: CheckDriftRequest) -> CheckDriftResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return check_drift(
        request,
        store=services.artifacts,
        aliases=services.aliases,
        state=services.state,
        clock=services.clock,
        spec=services.spec(request.project),
    )
