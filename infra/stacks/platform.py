"""Everything that may be redeployed at any time: functions, state machine, API, alerts."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.bundling import code_version
from infra.config import Deployment, embedding_is_wanted
from infra.constructs.alerting import Alerts
from infra.constructs.code import Layers
from infra.constructs.glue_jobs import GlueJobs
from infra.constructs.inbox import BatchSchedules, Inbox
from infra.constructs.model_packages import ModelPackages
from infra.constructs.monitoring import Monitoring
from infra.constructs.observability import Observability
from infra.constructs.prediction_api import PredictionApi
from infra.constructs.prediction_log import PredictionLogStreams
from infra.constructs.sagemaker_training import SagemakerTraining
from infra.constructs.state_machine import NoriaStateMachine
from infra.constructs.steps import Steps
from infra.names import project_names
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
        super().__init__(scope, name, tags=deployment.tags, **kwargs)
        self._deployment, self._storage = deployment, storage
        layers = Layers(
            self,
            "Layers",
            architecture=deployment.architecture,
            tracking=deployment.mlflow_tracking_uri is not None,
            embedding=embedding_is_wanted(),
        )
        self._alerts = Alerts(self, "Alerts", deployment=deployment)
        self._common: dict[str, Any] = {
            "deployment": deployment,
            "layers": layers,
            "environment": _environment(deployment, storage, self._alerts),
        }
        self._alerts.add_notifier(storage=storage, **self._common)
        self._steps = Steps(
            self, "Steps", storage=storage, alerts=self._alerts.topic, **self._common
        )
        machines = self._state_machines()
        self._alerts.add_executions(machines=machines, steps=self._steps)
        Monitoring(
            self,
            "Watch",
            deployment=deployment,
            storage=storage,
            steps=self._steps,
            machine=machines["Monitoring"],
        )
        self._add_inboxes(machines)
        ModelPackages(self, "ModelPackages", deployment=deployment, steps=self._steps)
        streams = PredictionLogStreams(
            self,
            "PredictionLog",
            deployment=deployment,
            storage=storage,
            projects=project_names(),
        )
        streams.add_replay(**self._common)
        prediction = PredictionApi(
            self,
            "Prediction",
            storage=storage,
            streams=streams,
            machines=machines,
            **self._common,
        )
        self._observe(machines, streams, prediction)
        self._add_outputs(prediction, machines)

    def _add_inboxes(self, machines: dict[str, sfn.StateMachine]) -> None:
        once = "once however often the event comes"
        for name, prefix, description in (
            ("Batch", "batch-inbox/", f"Each file in the batch inbox is scored, {once}"),
            (
                "Labels",
                "labels-inbox/",
                f"The labels of each file in their inbox are filed, {once}",
            ),
        ):
            Inbox(
                self,
                f"{name}Inbox",
                prefix=prefix,
                description=description,
                storage=self._storage,
                machine=machines[name],
                dead_letters=self._steps.dead_letters,
            )
        BatchSchedules(
            self,
            "BatchSchedules",
            deployment=self._deployment,
            steps=self._steps,
            machine=machines["Batch"],
        )

    def _state_machines(self) -> dict[str, sfn.StateMachine]:
        """Return the machines by name: a batch starts a check, a check a training, it a rollout."""
        common: dict[str, Any] = {"deployment": self._deployment, "storage": self._storage}
        training_jobs = SagemakerTraining(self, "TrainingJobs", **common)
        glue_jobs = GlueJobs(self, "GlueJobs", **common)
        machines: dict[str, sfn.StateMachine] = {}
        alone = ("Analysis", "Labels", "Rollout")
        for name in (*alone, "Training", "Monitoring", "Batch"):
            before = list(machines.items())[-1:] if name not in alone else []
            machines[name] = NoriaStateMachine(
                self,
                name,
                deployment=self._deployment,
                steps=self._steps,
                starts=dict(before),
                training_jobs=training_jobs,
                glue_jobs=glue_jobs,
            ).state_machine
        return machines

    def _observe(
        self,
        machines: dict[str, sfn.StateMachine],
        streams: PredictionLogStreams,
        prediction: PredictionApi,
    ) -> None:
        Observability(
            self,
            "Observability",
            deployment=self._deployment,
            alerts=self._alerts.topic,
            # An analysis fails before the eyes of whoever started it.
            machines={name: m for name, m in machines.items() if name != "Analysis"},
            prediction=prediction,
            streams=streams,
            dead_letters={
                "Events": self._steps.dead_letters,
                "Log": streams.dead_letters,
                **({"Alerts": self._alerts.dead_letters} if self._alerts.dead_letters else {}),
            },
        )

    def _add_outputs(
        self, prediction: PredictionApi, machines: dict[str, sfn.StateMachine]
    ) -> None:
        outputs = {
            "ApiUrl": prediction.api.url,
            "ApiId": prediction.api.rest_api_id,
            "DataBucket": self._storage.bucket.bucket_name,
            "AliasTable": self._storage.aliases.table_name,
            "AccessTable": self._storage.access.table_name,
            "AlertTopic": self._alerts.topic.topic_arn,
            "Tiers": ",".join(self._deployment.all_tiers),
        }
        outputs |= {f"{n}StateMachine": m.state_machine_arn for n, m in machines.items()}
        if self._alerts.channels:
            outputs["ChannelsSecret"] = self._alerts.channels.secret_arn
        for output, value in outputs.items():
            CfnOutput(self, output, value=value)


def _environment(deployment: Deployment, storage: StorageStack, alerts: Alerts) -> dict[str, str]:
    """Return the settings every function gets."""
    environment = {
        "NORIA_DATA_BUCKET": storage.bucket.bucket_name,
        "NORIA_ALIAS_TABLE": storage.aliases.table_name,
        "NORIA_ACCESS_TABLE": storage.access.table_name,
        "NORIA_CODE_VERSION": code_version(deployment.architecture),
        "NORIA_METRIC_NAMESPACE": deployment.metric_namespace,
        "NORIA_ALERT_TOPIC": alerts.topic.topic_arn,
        "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108 - the only folder it may write
    }
    if alerts.channels:
        environment["NORIA_CHANNELS_SECRET"] = alerts.channels.secret_arn
    if deployment.clock_file:
        environment["NORIA_CLOCK_FILE"] = deployment.clock_file
    if deployment.model_package_prefix:
        environment["NORIA_MODEL_PACKAGE_PREFIX"] = deployment.model_package_prefix
    if deployment.mlflow_tracking_uri:
        environment["NORIA_MLFLOW_TRACKING_URI"] = deployment.mlflow_tracking_uri
        # MLflow's own patience, 7 times 120 s, is longer than a function lives.
        environment |= {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
    return environment
