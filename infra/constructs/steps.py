"""The functions of the state machines, each with the rights of its step and no others."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Deployment, embedding_is_wanted
from infra.constructs.code import Layers
from infra.constructs.function import NoriaFunction, Runtime, allow
from infra.names import ROOT
from infra.stacks.storage import StorageStack


class Step(NamedTuple):
    """What one step may touch; keys are below the data bucket."""

    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    table: tuple[str, ...] = ()  # DynamoDB actions on the alias table
    is_heavy: bool = False  # trains or scores whole data sets
    layer: str = "training_runtime"
    disk_mb: int = 512
    publishes: bool = False  # alerts
    is_embedding: bool = False  # it reads word vectors, where a spec names them
    is_scoring: bool = False  # many at once: one full core each
    state: tuple[str, ...] = ()  # DynamoDB actions on the project's state


_MOVES_ALIASES = ("dynamodb:GetItem", "dynamodb:PutItem")
CLAIMS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
_CHANGES_STATE = ("dynamodb:GetItem", "dynamodb:PutItem")
# Whoever may claim, or write state, may not move aliases.
ALIAS_KEYS, CLAIM_KEYS, STATE_KEYS = "project#*", "claims#*", "state#*"
_ANSWERS = ("profiles/*", "answers/*", "labels/*")
_JOIN_DISK_MB = 4096  # tables to join lie on disk
_PARQUET_DISK_MB = 10_240  # a Parquet file is read from its end; tables are joined from disk
_SOURCE_LISTS = ("runs/*/source-keys.json", "monitoring/*/source-keys.json")
_TRAIN_ROWS = ("datasets/*/manifest.json", "datasets/*/train/*")

# The test rows are readable by evaluate_challenger alone until a decision is made: "read once" is
# a right, not a habit. The two steps of a refit come after it.
STEPS: dict[str, Step] = {
    # Where a split is by time, the champion is asked about rows that it has not seen.
    "prepare_dataset": Step(
        ("inbox/*", *_SOURCE_LISTS, "models/*", "quarantine/*", *_TRAIN_ROWS),
        ("datasets/*", "quarantine/*"),
        ("dynamodb:GetItem",),
        is_heavy=True,
        disk_mb=_JOIN_DISK_MB,
    ),
    "fit_feature_views": Step(
        (*_TRAIN_ROWS, "runs/*"), ("runs/*",), is_heavy=True, is_embedding=True
    ),
    "train_candidate": Step((*_TRAIN_ROWS, "runs/*", "models/*"), ("runs/*",), is_heavy=True),
    "recalibrate_champion": Step(
        (*_TRAIN_ROWS, "runs/*", "models/*"),
        ("runs/*",),
        ("dynamodb:GetItem",),
        is_heavy=True,
    ),
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
    "prepare_refit": Step(("datasets/*",), ("datasets/*",), is_heavy=True),
    "check_refit": Step(("datasets/*", "runs/*"), ("runs/*",), is_heavy=True),
    "register_model_version": Step(("runs/*", "models/*"), ("models/*",)),
    "promote_challenger": Step(("models/*",), (), _MOVES_ALIASES),
    # Of the rollout.
    "advance_rollout": Step(("models/*",), (), _MOVES_ALIASES),
    "check_rollout": Step((*_ANSWERS, "models/*"), (), ("dynamodb:GetItem",), is_heavy=True),
    "revert_rollout": Step((), (), _MOVES_ALIASES),
    "request_approval": Step((), state=_CHANGES_STATE),
    "follow_approval": Step((), state=("dynamodb:GetItem",)),
    # Of monitoring.
    "profile_log_chunk": Step(("predictions/*", "models/*"), ("profiles/*", "answers/*")),
    "check_drift": Step(
        ("profiles/*", "monitoring/*", "models/*"),
        ("monitoring/*",),
        ("dynamodb:GetItem",),
        is_heavy=True,
        state=_CHANGES_STATE,
    ),
    "check_performance": Step(
        (*_ANSWERS, "models/*", "batches/*/performance.json"),
        ("monitoring/*", "batches/*/performance.json"),
        ("dynamodb:GetItem",),
        is_heavy=True,
    ),
    "end_probation": Step(("models/*",), (), _MOVES_ALIASES),
    "decide_retraining": Step(
        (
            "monitoring/*",
            "models/*",
            "datasets/*/manifest.json",
            "inbox/*",
            "runs/*",
            "quarantine/*",
        ),
        ("monitoring/*",),
        ("dynamodb:GetItem",),
    ),
    # Of a batch that labels have come for it draws the page again.
    "write_monitoring_report": Step(
        ("monitoring/*", "batches/*/outcome.json", "batches/*/performance.json"),
        ("monitoring/*", "batches/*/report.html"),
        layer="report_runtime",
    ),
    "start_scheduled_check": Step(
        ("monitoring/*/current.json", "monitoring/*/inbox.json"), (), ("dynamodb:GetItem",)
    ),
    # Of whole files.
    "plan_batch": Step(
        (
            "batch-inbox/*",
            "batch-scheduled/*",
            "inbox/*",
            "batches/*",
            "batch-results/*/values/*",
            "models/*",
        ),
        ("batches/*",),
        ("dynamodb:GetItem",),
        layer="batch_runtime",
        is_heavy=True,
        disk_mb=_PARQUET_DISK_MB,
    ),
    "score_part": Step(
        ("batches/*", "models/*"), ("batches/*",), layer="batch_runtime", is_scoring=True
    ),
    "check_batch": Step(
        (
            "batches/*",
            "batch-inbox/*",
            "batch-scheduled/*",
            "models/*",
            "monitoring/*",
            "profiles/*",
            "datasets/*/manifest.json",
        ),
        ("batches/*", "monitoring/*"),
        ("dynamodb:GetItem",),
        is_heavy=True,
        state=_CHANGES_STATE,
    ),
    "close_batch": Step(
        ("batches/*", "profiles/*"),
        ("batches/*", "batch-results/*", "profiles/*", "answers/*"),
        layer="batch_runtime",
        is_heavy=True,
        disk_mb=_PARQUET_DISK_MB,
    ),
    "write_batch_report": Step(
        ("batches/*", "monitoring/*"), ("batches/*",), layer="report_runtime"
    ),
    "start_batches": Step(()),
    # Of labels.
    "file_labels": Step(
        ("labels-inbox/*", "models/*"),
        ("labels/*", "quarantine/*"),
        ("dynamodb:GetItem",),
        layer="batch_runtime",
        is_heavy=True,
        disk_mb=_PARQUET_DISK_MB,
    ),
    # Of all.
    "raise_alert": Step((), (), CLAIMS, publishes=True),
}
_LIGHT_MEMORY_MB, _UNATTENDED_SECONDS = 1024, 300
_CORE_MB = 1769  # what Lambda gives one virtual CPU for
UNATTENDED = frozenset(
    {
        "profile_log_chunk",
        "follow_approval",
        "raise_alert",
        "start_batches",
        "start_scheduled_check",
    }
)  # started by events: not, or not only, by a state machine


class Steps(Construct):
    """One function per step; those called asynchronously keep what fails in a dead-letter queue."""

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
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        states = _seconds_of_states()
        self.functions: dict[str, lambda_.Function] = {
            step: NoriaFunction(
                self,
                step,
                deployment=deployment,
                layers=layers,
                runtime=_runtime(rights, deployment, _timeout(step, states)),
                environment=environment,
                statements=_statements(rights, storage, alerts),
                dead_letters=self.dead_letters if step in UNATTENDED else None,
            ).function
            for step, rights in STEPS.items()
        }

    def substitutions(self) -> dict[str, str]:
        """Return what the state machines call the functions."""
        return {_function_name(step): f.function_arn for step, f in self.functions.items()}


def dead_letter_queue(scope: Construct, name: str) -> sqs.Queue:
    """Return a queue for what failed for good, kept for two weeks."""
    return sqs.Queue(
        scope,
        name,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )


def _seconds_of_states() -> dict[str, int]:
    """Return, by function, the shortest time in which a state of any machine waits for it."""
    found: dict[str, int] = {}

    def look(machine: Mapping[str, Any]) -> None:
        for state in machine["States"].values():
            if state["Type"] == "Map":
                look(state["ItemProcessor"])
            name = str(state.get("Resource", ""))
            if name.startswith("${"):
                seconds = int(state["TimeoutSeconds"])
                found[name] = min(seconds, found.get(name, seconds))

    for path in sorted((ROOT / "statemachines").glob("*.asl.json")):
        look(json.loads(path.read_text(encoding="utf-8")))
    return found


def _timeout(step: str, states: Mapping[str, int]) -> int:
    """Return a function's timeout: it ends before the state gives it up, or it would go on unseen.

    What is given up and still commits later is a change that no machine knows of.
    """
    waits = states.get("${" + _function_name(step) + "}")
    if waits is None:
        return _UNATTENDED_SECONDS
    return waits - (30 if waits >= 300 else 15)


def _function_name(step: str) -> str:
    """Return what the state machines call a step's function."""
    return "".join(word.capitalize() for word in step.split("_")) + "Function"


def _runtime(step: Step, deployment: Deployment, seconds: int) -> Runtime:
    layers: tuple[str, ...] = (step.layer,)
    if step.layer == "report_runtime" and deployment.mlflow_tracking_uri:
        layers += ("tracking_runtime",)
    if step.is_embedding and embedding_is_wanted():
        layers += ("embedding_runtime",)
    if step.is_heavy:
        return Runtime(layers, deployment.training_memory_mb, seconds, step.disk_mb)
    if step.is_scoring:
        return Runtime(layers, _CORE_MB, seconds, step.disk_mb)
    return Runtime(layers, _LIGHT_MEMORY_MB, seconds, step.disk_mb)


def _statements(step: Step, storage: StorageStack, alerts: sns.ITopic) -> list[iam.PolicyStatement]:
    bucket = storage.bucket
    statements = [
        # Without it S3 answers 403 for an object that does not exist.
        allow(["s3:ListBucket"], [bucket.bucket_arn]),
    ]
    if step.reads:
        keys = [bucket.arn_for_objects(key) for key in step.reads]
        statements.append(allow(["s3:GetObject"], keys))
    if step.writes:
        keys = [bucket.arn_for_objects(key) for key in step.writes]
        statements.append(allow(["s3:PutObject"], keys))
    if step.table:
        keys_of = CLAIM_KEYS if step.publishes else ALIAS_KEYS
        statements.append(allow(step.table, [storage.aliases.table_arn], keys=keys_of))
    if step.state:
        statements.append(allow(step.state, [storage.aliases.table_arn], keys=STATE_KEYS))
    if step.publishes:
        statements.append(allow(["sns:Publish"], [alerts.topic_arn]))
    return statements
