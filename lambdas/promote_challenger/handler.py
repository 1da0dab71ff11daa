"""Make the challenger the champion, in one transaction."""

from noria.steps.promote_challenger import (
    PromoteChallengerRequest,
    PromoteChallengerResult,
    promote_challenger,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(PromoteChallengerRequest)
def lambda_handler(request: PromoteChallengerRequest) -> PromoteChallengerResult:
    """Run the step on the data bucket and the alias table."""
    services = bootstrap()
    return promote_challenger(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        aliases=services.aliases,
        clock=services.clock,
    )
