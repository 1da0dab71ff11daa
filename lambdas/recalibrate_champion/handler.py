"""Make a challenger of the champion with other probabilities."""

from noria.steps.recalibrate_champion import (
    RecalibrateChampionRequest,
    RecalibrateChampionResult,
    recalibrate_champion,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(RecalibrateChampionRequest)
def lambda_handler(request: RecalibrateChampionRequest) -> RecalibrateChampionResult:
    """Run the step on the data bucket and the alias table."""
    services = bootstrap()
    return recalibrate_champion(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        aliases=services.aliases,
        code=services.code_versions(),
    )
