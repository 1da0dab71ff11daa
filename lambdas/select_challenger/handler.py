"""Choose the challenger among the candidates by cross-validation."""

from noria.steps.select_challenger import (
    SelectChallengerRequest,
    SelectChallengerResult,
    select_challenger,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(SelectChallengerRequest)
def lambda_handler(request: SelectChallengerRequest) -> SelectChallengerResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    return select_challenger(
        request, spec=services.spec(request.project), artifacts=services.artifacts
    )
