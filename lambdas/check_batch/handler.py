"""Compare a batch's rows with training."""

from noria.steps.check_batch import CheckBatchRequest, CheckBatchResult, check_batch
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(CheckBatchRequest)
def lambda_handler(request: CheckBatchRequest) -> CheckBatchResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return check_batch(
        request,
        store=services.artifacts,
        aliases=services.aliases,
        state=services.state,
        clock=services.clock,
        spec=services.spec(request.project),
    )
