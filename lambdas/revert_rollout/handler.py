"""Take a challenger back."""

from noria.steps.revert_rollout import RevertRolloutRequest, RevertRolloutResult, revert_rollout
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(RevertRolloutRequest)
def lambda_handler(request: RevertRolloutRequest) -> RevertRolloutResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return revert_rollout(
        request,
        aliases=services.aliases,
        clock=services.clock,
    )
