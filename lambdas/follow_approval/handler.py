"""Resume a waiting rollout when SageMaker approves or rejects its model version."""

from noria.steps.follow_approval import (
    FollowApprovalRequest,
    FollowApprovalResult,
    follow_approval,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(FollowApprovalRequest)
def lambda_handler(request: FollowApprovalRequest) -> FollowApprovalResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return follow_approval(
        request,
        state=services.state,
        packages=services.model_packages(),
        waiting=services.waiting_executions,
    )
