"""One Lambda function with its own role: the actions it is given and nothing else."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aws_cdk import Aws, Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Deployment
from infra.constructs.code import ARCHITECTURES, RUNTIME, Layers, bundled
from infra.names import ROOT

_RETENTION = {
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


class Runtime(NamedTuple):
    """What a function runs on."""

    layers: tuple[str, ...]  # of third-party code
    memory_mb: int
    timeout_seconds: int
    disk_mb: int = 512  # of /tmp
    reserved: int | None = None  # executions at once that no other function can take
    is_traced: bool = True


class NoriaFunction(Construct):
    """The function of one folder of `lambdas/`, named like it."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        layers: Layers,
        runtime: Runtime,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        dead_letters: sqs.IQueue | None = None,
    ) -> None:
        super().__init__(scope, name)
        group = log_group(self, "Log", deployment)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=RUNTIME,
            architecture=ARCHITECTURES[deployment.architecture],
            handler="handler.lambda_handler",
            code=bundled(ROOT / "lambdas" / name, deployment.architecture),
            layers=layers.of("noria", "noria_aws", "projects", *runtime.layers),
            memory_size=runtime.memory_mb,
            ephemeral_storage_size=Size.mebibytes(runtime.disk_mb),
            timeout=Duration.seconds(runtime.timeout_seconds),
            reserved_concurrent_executions=runtime.reserved,
            environment=dict(environment),
            tracing=lambda_.Tracing.ACTIVE if runtime.is_traced else lambda_.Tracing.PASS_THROUGH,
            log_group=group,
            role=role,
            dead_letter_queue=dead_letters,
            description=f"Noria step {name}",
        )
        for statement in (*statements, *_observability(group)):
            role.add_to_policy(statement)


def log_group(scope: Construct, name: str, deployment: Deployment) -> logs.LogGroup:
    """Return a log group with the deployment's retention; logs go with the stack."""
    return logs.LogGroup(
        scope,
        name,
        retention=_RETENTION[deployment.log_retention_days],
        removal_policy=RemovalPolicy.DESTROY,
    )


def machine_log_group(scope: Construct, name: str, deployment: Deployment) -> logs.LogGroup:
    """Return the log group of a state machine, under the prefix that AWS opens to log delivery.

    Elsewhere each machine adds to one resource policy, whose size is limited for the account.
    """
    return logs.LogGroup(
        scope,
        name,
        log_group_name=f"/aws/vendedlogs/states/{Stack.of(scope).stack_name}/{scope.node.id}",
        retention=_RETENTION[deployment.log_retention_days],
        removal_policy=RemovalPolicy.DESTROY,
    )


def service(name: str) -> iam.ServicePrincipal:
    """Return a service that may assume a role for this account's resources only.

    For services that say whose resource they act for. Lambda and API Gateway's logs do not
    document it; their roles can be passed within the account only.
    """
    return iam.ServicePrincipal(
        f"{name}.amazonaws.com",
        conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
    )


def allow(
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    keys: str | None = None,
    attributes: Sequence[str] = (),
) -> iam.PolicyStatement:
    """Return an Allow statement of exactly these actions on these resources.

    `keys` limits it to the items of a table whose partition key matches, `attributes` to these of
    their attributes.
    """
    limits: dict[str, Mapping[str, Sequence[str]]] = {}
    if keys:
        limits["ForAllValues:StringLike"] = {"dynamodb:LeadingKeys": [keys]}
    if attributes:
        limits["ForAllValues:StringEquals"] = {"dynamodb:Attributes": list(attributes)}
    return iam.PolicyStatement(
        actions=list(actions), resources=list(resources), conditions=limits or None
    )


def _observability(group: logs.LogGroup) -> list[iam.PolicyStatement]:
    return [
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], [group.log_group_arn]),
        allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]),
    ]
