"""Gather a batch's results."""

from noria.steps.close_batch import CloseBatchRequest, CloseBatchResult, close_batch
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(CloseBatchRequest)
def lambda_handler(request: CloseBatchRequest) -> CloseBatchResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return close_batch(
        request,
        spec=services.spec(request.project),
        store=services.artifacts,
        clock=services.clock,
    )
