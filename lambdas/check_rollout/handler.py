"""Hold a challenger against the champion on live requests."""

from noria.steps.check_rollout import CheckRolloutRequest, CheckRolloutResult, check_rollout
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(CheckRolloutRequest)
def lambda_handler(request: CheckRolloutRequest) -> CheckRolloutResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return check_rollout(
        request,
        spec=services.spec(request.project),
        store=services.artifacts,
        aliases=services.aliases,
        clock=services.clock,
    )
