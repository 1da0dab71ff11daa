"""Model versions in SageMaker's registry, and what is approved there: where it is named."""

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.config import Deployment
from infra.constructs.function import allow
from infra.constructs.steps import Steps

_RETRIES = 5


class ModelPackages(Construct):
    """The rights to write packages, and the rule that follows their approval."""

    def __init__(
        self, scope: Construct, name: str, *, deployment: Deployment, steps: Steps
    ) -> None:
        super().__init__(scope, name)
        prefix = deployment.model_package_prefix
        if prefix is None:
            return
        stack = Stack.of(self)
        groups, packages = (
            stack.format_arn(service="sagemaker", resource=kind, resource_name=f"{prefix}-*")
            for kind in ("model-package-group", "model-package")
        )
        register, follow, request = (
            steps.functions[step]
            for step in ("register_model_version", "follow_approval", "request_approval")
        )
        register.add_to_role_policy(
            allow(
                ["sagemaker:CreateModelPackageGroup", "sagemaker:CreateModelPackage"],
                [groups, packages],
            )
        )
        follow.add_to_role_policy(allow(["sagemaker:DescribeModelPackage"], [packages]))
        request.add_to_role_policy(allow(["sagemaker:ListModelPackages"], ["*"]))  # takes no ARN
        # Tokens belong to executions, which these actions cannot be limited to by name.
        iam.Policy(
            self,
            "Answers",
            roles=[function.role for function in (follow, request) if function.role],
            statements=[allow(["states:SendTaskSuccess", "states:SendTaskFailure"], ["*"])],
        )
        self._add_rule(prefix, follow, steps)

    def _add_rule(self, prefix: str, follow: lambda_.Function, steps: Steps) -> None:
        events.Rule(
            self,
            "Approvals",
            description="What is approved or rejected in SageMaker's registry is a rollout's word",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={
                    "ModelPackageGroupName": [{"prefix": f"{prefix}-"}],
                    "ModelApprovalStatus": ["Approved", "Rejected"],
                },
            ),
            targets=[
                targets.LambdaFunction(
                    follow,
                    event=events.RuleTargetInput.from_object(
                        {
                            "package": events.EventField.from_path("$.detail.ModelPackageArn"),
                            "status": events.EventField.from_path("$.detail.ModelApprovalStatus"),
                        }
                    ),
                    dead_letter_queue=steps.dead_letters,
                    retry_attempts=_RETRIES,
                )
            ],
        )
