"""Give a challenger its next share of the requests."""

from noria.steps.advance_rollout import AdvanceRolloutRequest, AdvanceRolloutResult, advance_rollout
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(AdvanceRolloutRequest)
def lambda_handler(request: AdvanceRolloutRequest) -> AdvanceRolloutResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return advance_rollout(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        aliases=services.aliases,
        clock=services.clock,
    )
