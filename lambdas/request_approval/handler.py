"""Keep the token of a rollout that waits for an approval, unless it is there already."""

from noria.steps.request_approval import (
    RequestApprovalRequest,
    RequestApprovalResult,
    request_approval,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(RequestApprovalRequest)
def lambda_handler(request: RequestApprovalRequest) -> RequestApprovalResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return request_approval(
        request,
        state=services.state,
        clock=services.clock,
        packages=services.model_packages(),
        waiting=services.waiting_executions,
    )
