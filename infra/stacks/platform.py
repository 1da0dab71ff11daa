"""Everything that may be redeployed at any time: functions, state machine, API, alerts."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.bundling import source_hash
from infra.config import ROOT, Deployment, project_names
from infra.constructs.code import Layers
from infra.constructs.prediction_api import PredictionApi
from infra.constructs.prediction_log import PredictionLogStreams
from infra.constructs.training_pipeline import TrainingPipeline
from infra.stacks.storage import StorageStack


class PlatformStack(Stack):
    """The wheel: train, promote, serve, tell."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, name, **kwargs)
        alerts = sns.Topic(self, "Alerts", enforce_ssl=True)
        if deployment.alert_email:
            alerts.add_subscription(subscriptions.EmailSubscription(deployment.alert_email))
        layers = Layers(
            self,
            "Layers",
            architecture=deployment.architecture,
            tracking=deployment.mlflow_tracking_uri is not None,
        )
        environment = _environment(deployment, storage)
        training = TrainingPipeline(
            self,
            "Training",
            deployment=deployment,
            storage=storage,
            layers=layers,
            environment=environment,
            alerts=alerts,
        )
        streams = PredictionLogStreams(
            self,
            "PredictionLog",
            deployment=deployment,
            storage=storage,
            projects=project_names(),
        )
        prediction = PredictionApi(
            self,
            "Prediction",
            deployment=deployment,
            storage=storage,
            layers=layers,
            environment=environment,
            streams=streams,
        )
        outputs = {
            "ApiUrl": prediction.api.url,
            "ApiId": prediction.api.rest_api_id,
            "UserKeyId": prediction.keys["user"].key_id,
            "AdminKeyId": prediction.keys["admin"].key_id,
            "DataBucket": storage.bucket.bucket_name,
            "AliasTable": storage.aliases.table_name,
            "TrainingStateMachine": training.state_machine.state_machine_arn,
            "AlertTopic": alerts.topic_arn,
        }
        for output, value in outputs.items():
            CfnOutput(self, output, value=value)


def _environment(deployment: Deployment, storage: StorageStack) -> dict[str, str]:
    """Return the settings every function gets."""
    environment = {
        "NORIA_DATA_BUCKET": storage.bucket.bucket_name,
        "NORIA_ALIAS_TABLE": storage.aliases.table_name,
        "NORIA_CODE_VERSION": source_hash(ROOT / "layers" / "noria", deployment.architecture)[:12],
        "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108 - the only folder it may write
    }
    if deployment.mlflow_tracking_uri:
        environment["NORIA_MLFLOW_TRACKING_URI"] = deployment.mlflow_tracking_uri
        # MLflow's own patience, 7 times 120 s, is longer than a function lives.
        environment |= {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
    return environment
