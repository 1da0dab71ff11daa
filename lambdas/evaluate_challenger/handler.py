"""Compare the challenger with the champion on the same held-out rows."""

from noria.steps.evaluate_challenger import (
    EvaluateChallengerRequest,
    EvaluateChallengerResult,
    evaluate_challenger,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(EvaluateChallengerRequest)
def lambda_handler(request: EvaluateChallengerRequest) -> EvaluateChallengerResult:
    """Run the step on the data bucket and the alias table."""
    services = bootstrap()
    return evaluate_challenger(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        aliases=services.aliases,
    )
