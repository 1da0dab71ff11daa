"""The functions of `training.asl.json`, their rights, and the state machine itself."""

from collections.abc import Mapping
from typing import NamedTuple

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config import ROOT, Deployment
from infra.constructs.code import Layers
from infra.constructs.function import NoriaFunction, Runtime, allow, log_group
from infra.stacks.storage import StorageStack


class Step(NamedTuple):
    """What one step may touch; keys are below the data bucket."""

    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    table: tuple[str, ...] = ()  # DynamoDB actions on the alias table
    is_heavy: bool = False  # trains or scores whole data sets
    layer: str = "training_runtime"
    disk_mb: int = 512


_JOIN_DISK_MB = 4096  # tables to join lie on disk
_TRAIN_ROWS = ("datasets/*/manifest.json", "datasets/*/train/*")

# The test rows are readable by evaluate_challenger alone: "read once" is a right, not a habit.
STEPS: dict[str, Step] = {
    "prepare_dataset": Step(
        ("inbox/*",), ("datasets/*", "quarantine/*"), is_heavy=True, disk_mb=_JOIN_DISK_MB
    ),
    "fit_feature_views": Step(_TRAIN_ROWS, ("runs/*",), is_heavy=True),
    "train_candidate": Step((*_TRAIN_ROWS, "runs/*", "models/*"), ("runs/*",), is_heavy=True),
    "select_challenger": Step(("runs/*",), ("runs/*",)),
    "evaluate_challenger": Step(
        ("datasets/*", "runs/*", "models/*"), ("runs/*",), ("dynamodb:GetItem",), is_heavy=True
    ),
    "verify_bundle": Step(("runs/*",), layer="serving_runtime"),
    "decide_promotion": Step(("runs/*",), ("runs/*",)),
    # What the test rows gave is in the run; the rows themselves stay out of reach.
    "write_training_report": Step(
        (*_TRAIN_ROWS, "runs/*", "reports/*"),
        ("reports/*",),
        layer="report_runtime",
        is_heavy=True,
    ),
    "register_model_version": Step(("runs/*", "models/*"), ("models/*",)),
    "promote_challenger": Step(("models/*",), (), ("dynamodb:GetItem", "dynamodb:PutItem")),
}
_LIGHT_MEMORY_MB, _LIGHT_SECONDS, _HEAVY_SECONDS = 1024, 300, 900


class TrainingPipeline(Construct):
    """From source files to a champion."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        layers: Layers,
        environment: Mapping[str, str],
        alerts: sns.ITopic,
    ) -> None:
        super().__init__(scope, name)
        functions = {
            step: NoriaFunction(
                self,
                step,
                deployment=deployment,
                layers=layers,
                runtime=_runtime(rights, deployment),
                environment=environment,
                statements=_statements(rights, storage),
            ).function
            for step, rights in STEPS.items()
        }
        substitutions = {
            f"{_pascal(step)}Function": function.function_arn
            for step, function in functions.items()
        }
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_file(
                str(ROOT / "statemachines" / "training.asl.json")
            ),
            definition_substitutions={**substitutions, "AlertTopic": alerts.topic_arn},
            timeout=Duration.hours(4),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group(self, "Log", deployment),
                level=sfn.LogLevel.ALL,
                include_execution_data=False,
            ),
        )
        self.state_machine.add_to_role_policy(
            allow(["lambda:InvokeFunction"], [f.function_arn for f in functions.values()])
        )
        self.state_machine.add_to_role_policy(allow(["sns:Publish"], [alerts.topic_arn]))


def _runtime(step: Step, deployment: Deployment) -> Runtime:
    layers: tuple[str, ...] = (step.layer,)
    if step.layer == "report_runtime" and deployment.mlflow_tracking_uri:
        layers += ("tracking_runtime",)
    if step.is_heavy:
        return Runtime(layers, deployment.training_memory_mb, _HEAVY_SECONDS, step.disk_mb)
    return Runtime(layers, _LIGHT_MEMORY_MB, _LIGHT_SECONDS, step.disk_mb)


def _statements(step: Step, storage: StorageStack) -> list[iam.PolicyStatement]:
    bucket = storage.bucket
    statements = [
        # Without it S3 answers 403 for an object that does not exist.
        allow(["s3:ListBucket"], [bucket.bucket_arn]),
        allow(["s3:GetObject"], [bucket.arn_for_objects(key) for key in step.reads]),
    ]
    if step.writes:
        keys = [bucket.arn_for_objects(key) for key in step.writes]
        statements.append(allow(["s3:PutObject"], keys))
    if step.table:
        statements.append(allow(step.table, [storage.aliases.table_arn]))
    return statements


def _pascal(step: str) -> str:
    return "".join(word.capitalize() for word in step.split("_"))
