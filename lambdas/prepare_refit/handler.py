"""Make the dataset version that the serving model is fitted on: all rows, the newest included."""

from noria.steps.prepare_refit import PrepareRefitRequest, PrepareRefitResult, prepare_refit
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(PrepareRefitRequest)
def lambda_handler(request: PrepareRefitRequest) -> PrepareRefitResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    return prepare_refit(request, spec=services.spec(request.project), artifacts=services.artifacts)
