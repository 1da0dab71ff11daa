"""Start a batch for each file that waits for the schedule."""

from noria.steps.start_batches import StartBatchesRequest, StartBatchesResult, start_batches
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(StartBatchesRequest)
def lambda_handler(request: StartBatchesRequest) -> StartBatchesResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return start_batches(request, store=services.artifacts, executions=services.executions)
