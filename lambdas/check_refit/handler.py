"""Decide whether the model fitted again on all rows serves, or the one that was evaluated."""

from noria.steps.check_refit import CheckRefitRequest, CheckRefitResult, check_refit
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(CheckRefitRequest)
def lambda_handler(request: CheckRefitRequest) -> CheckRefitResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    return check_refit(request, spec=services.spec(request.project), artifacts=services.artifacts)
