"""Decide whether to train again."""

from noria.steps.decide_retraining import (
    DecideRetrainingRequest,
    DecideRetrainingResult,
    decide_retraining,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(DecideRetrainingRequest)
def lambda_handler(request: DecideRetrainingRequest) -> DecideRetrainingResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return decide_retraining(
        request,
        store=services.artifacts,
        aliases=services.aliases,
        spec=services.spec(request.project),
    )
