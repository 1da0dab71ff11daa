"""Ask the gate whether the challenger replaces the champion."""

from noria.steps.decide_promotion import (
    DecidePromotionRequest,
    DecidePromotionResult,
    decide_promotion,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(DecidePromotionRequest)
def lambda_handler(request: DecidePromotionRequest) -> DecidePromotionResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    return decide_promotion(
        request, spec=services.spec(request.project), artifacts=services.artifacts
    )
