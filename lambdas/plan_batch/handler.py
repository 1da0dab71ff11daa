"""Cut a file to score into parts."""

from noria.steps.plan_batch import PlanBatchRequest, PlanBatchResult, plan_batch
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(PlanBatchRequest)
def lambda_handler(request: PlanBatchRequest) -> PlanBatchResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return plan_batch(
        request,
        spec=services.spec(request.project),
        store=services.artifacts,
        aliases=services.aliases,
        clock=services.clock,
    )
