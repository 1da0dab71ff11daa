"""The composition root of the pipeline functions: settings in, adapters out, made on first use."""

from contextlib import ExitStack
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import as_file, files
from pathlib import Path
from platform import python_version

import boto3
from botocore.config import Config

from noria.ports import Clock, MachineName, MetricSink
from noria.spec.loader import load_project
from noria.spec.model import ProjectSpec
from noria_aws.aws.access import DynamoDbAuditLog, DynamoDbRequestCounts
from noria_aws.aws.claims import DynamoDbClaims
from noria_aws.aws.client_errors import translated
from noria_aws.aws.clock import deployed_clock
from noria_aws.aws.dynamodb import DynamoDbAliases
from noria_aws.aws.executions import StepFunctions
from noria_aws.aws.model_packages import ModelPackages
from noria_aws.aws.s3 import S3Artifacts
from noria_aws.aws.settings import (
    ACCESS_TABLE,
    ALERT_TOPIC,
    ALIAS_TABLE,
    BATCH_MACHINE,
    CHANNELS_SECRET,
    CODE_VERSION,
    DATA_BUCKET,
    MLFLOW_TRACKING_URI,
    MODEL_PACKAGE_PREFIX,
    MONITORING_MACHINE,
    TRAINING_MACHINE,
    optional_setting,
    setting,
)
from noria_aws.aws.sns import SnsAlertTopic
from noria_aws.aws.state import DynamoDbState
from noria_aws.aws.task_tokens import TaskTokens
from noria_aws.aws.webhooks import SecretWebhooks

_TRAINING_LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "xgboost-cpu",
    "lightgbm",
    "imbalanced-learn",
    "optuna",
    "snowballstemmer",
)
_UNPACKED = ExitStack()  # as long as the process


class Services:
    """Adapters of the ports, each made when first asked for."""

    @cached_property
    def artifacts(self) -> S3Artifacts:
        """The data bucket."""
        return S3Artifacts(boto3.client("s3", config=_config()), setting(DATA_BUCKET))

    @cached_property
    def aliases(self) -> DynamoDbAliases:
        """The alias table."""
        return DynamoDbAliases(boto3.client("dynamodb", config=_config()), setting(ALIAS_TABLE))

    @cached_property
    def clock(self) -> Clock:
        """The deployment's clock."""
        return deployed_clock()

    @cached_property
    def claims(self) -> DynamoDbClaims:
        """Locks in the alias table."""
        return DynamoDbClaims(boto3.client("dynamodb", config=_config()), setting(ALIAS_TABLE))

    @cached_property
    def state(self) -> DynamoDbState:
        """Records that change, in the alias table."""
        return DynamoDbState(boto3.client("dynamodb", config=_config()), setting(ALIAS_TABLE))

    @cached_property
    def audit_log(self) -> DynamoDbAuditLog:
        """What admins did."""
        return DynamoDbAuditLog(boto3.client("dynamodb", config=_config()), setting(ACCESS_TABLE))

    @cached_property
    def request_counts(self) -> DynamoDbRequestCounts:
        """Counters of requests."""
        client = boto3.client("dynamodb", config=_config())
        return DynamoDbRequestCounts(client, setting(ACCESS_TABLE))

    @cached_property
    def alert_topic(self) -> SnsAlertTopic:
        """Where alerts are published."""
        return SnsAlertTopic(boto3.client("sns", config=_config()), setting(ALERT_TOPIC))

    @cached_property
    def webhooks(self) -> SecretWebhooks:
        """The chat services."""
        client = boto3.client("secretsmanager", config=_config())
        return SecretWebhooks(client, setting(CHANNELS_SECRET))

    def put_log_lines(self, stream: str, lines: bytes) -> None:
        """Give lines to a stream of the prediction log."""
        client = boto3.client("firehose", config=_config())
        with translated(f"writing to {stream}"):
            client.put_record(DeliveryStreamName=stream, Record={"Data": lines})

    def metric_sink(self) -> MetricSink | None:
        """Return the tracking server of this deployment; None where none is named."""
        uri = optional_setting(MLFLOW_TRACKING_URI)
        if uri is None:
            return None
        from noria_aws.aws.mlflow_sink import MlflowSink  # two seconds that only its users pay

        return MlflowSink(uri)

    def model_packages(self) -> ModelPackages | None:
        """Return SageMaker's registry; None where no groups are named."""
        prefix = optional_setting(MODEL_PACKAGE_PREFIX)
        if prefix is None:
            return None
        return ModelPackages(boto3.client("sagemaker", config=_config()), prefix)

    @cached_property
    def executions(self) -> StepFunctions:
        """The state machines that this function may start."""
        known: dict[MachineName, str] = {
            "Training": TRAINING_MACHINE,
            "Monitoring": MONITORING_MACHINE,
            "Batch": BATCH_MACHINE,
        }
        machines = {name: arn for name, key in known.items() if (arn := optional_setting(key))}
        return StepFunctions(boto3.client("stepfunctions", config=_config()), machines)

    @cached_property
    def waiting_executions(self) -> TaskTokens:
        """Executions that wait for an approval."""
        return TaskTokens(boto3.client("stepfunctions", config=_config()))

    def spec(self, project: str) -> ProjectSpec:
        """Return the spec of a deployed project."""
        return load_project(project, projects_folder())

    def code_versions(self) -> dict[str, str]:
        """Return the versions of Noria and of the libraries that train."""
        found = {"noria": setting(CODE_VERSION), "python": python_version()}
        for name in _TRAINING_LIBRARIES:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
        return found


@lru_cache(maxsize=1)
def bootstrap() -> Services:
    """Return the process's services; clients outlive one event."""
    return Services()


def deployed_projects() -> list[str]:
    """Return the names of the deployed projects, sorted."""
    return sorted(path.stem for path in projects_folder().glob("*.toml"))


@lru_cache(maxsize=1)
def projects_folder() -> Path:
    """Return the folder of the deployed project specs, unpacked where the code is an archive."""
    return _UNPACKED.enter_context(as_file(files("projects")))


def _config() -> Config:
    return Config(retries={"mode": "standard", "total_max_attempts": 4}, read_timeout=30)
