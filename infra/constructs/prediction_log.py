"""Where predictions are logged: one Firehose stream per project, into the data bucket by time."""

from collections.abc import Mapping

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Deployment
from infra.constructs.code import Layers
from infra.constructs.function import NoriaFunction, Runtime, allow, log_group, service
from infra.constructs.steps import dead_letter_queue
from infra.stacks.storage import StorageStack

_BUFFER_SECONDS, _BUFFER_MB = 60, 5
_REPLAY_SECONDS, _REPLAYS, _MEMORY_MB = 30, 20, 512
_ERROR_TYPE = "!{firehose:error-output-type}"  # Firehose requires it in an error prefix
_LONGEST_NAME = 64  # of a delivery stream, Firehose's limit
_BY_HOUR = "!{timestamp:yyyy/MM/dd/HH}/"


class PredictionLogStreams(Construct):
    """Streams named after the projects; `prefix` + project is a stream's name."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        projects: list[str],
    ) -> None:
        super().__init__(scope, name)
        self.prefix = f"noria-{deployment.stage}-predictions-"
        self._projects = tuple(projects)
        if too_long := [name for name in projects if len(self.prefix + name) > _LONGEST_NAME]:
            raise ValueError(
                f"{too_long}: streams are named {self.prefix}PROJECT, of at most {_LONGEST_NAME} "
                "characters; shorten the project's or the stage's name"
            )
        bucket = storage.bucket
        role = iam.Role(self, "Role", assumed_by=service("firehose"))
        role.add_to_policy(
            allow(
                ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
                [
                    bucket.arn_for_objects("predictions/*"),
                    bucket.arn_for_objects("predictions-failed/*"),
                ],
            )
        )
        role.add_to_policy(
            allow(
                ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                [bucket.bucket_arn],
            )
        )
        self._group = log_group(self, "Delivery", deployment)
        role.add_to_policy(allow(["logs:PutLogEvents"], [self._group.log_group_arn]))
        streams = [self._stream(project, role, storage) for project in projects]
        self.arns = [stream.attr_arn for stream in streams]
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self._watch_failed(storage)
        self.fallback = sqs.Queue(
            self,
            "Fallback",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(_REPLAY_SECONDS * 6),
            retention_period=Duration.days(14),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=_REPLAYS
            ),
        )

    def freshness(self) -> dict[str, cloudwatch.IMetric]:
        """Return, by project, how old the oldest record is that is not in the bucket yet, in s."""
        return {
            project: cloudwatch.Metric(
                namespace="AWS/Firehose",
                metric_name="DeliveryToS3.DataFreshness",
                dimensions_map={"DeliveryStreamName": f"{self.prefix}{project}"},
                statistic="Maximum",
                period=Duration.minutes(5),
            )
            for project in self._projects
        }

    def _watch_failed(self, storage: StorageStack) -> None:
        """Put what Firehose gave up on into the dead letters, whose alarm tells of it."""
        events.Rule(
            self,
            "Failed",
            description="Firehose wrote records it could not deliver; the message has their key",
            event_pattern=storage.created("predictions-failed/"),
            targets=[targets.SqsQueue(self.dead_letters)],
        )

    def add_replay(
        self, *, deployment: Deployment, layers: Layers, environment: Mapping[str, str]
    ) -> None:
        """Add the function that hands over again what a stream had not taken."""
        replay = NoriaFunction(
            self,
            "replay_log",
            deployment=deployment,
            layers=layers,
            runtime=Runtime(("training_runtime",), _MEMORY_MB, _REPLAY_SECONDS),
            environment=environment,
            statements=[allow(["firehose:PutRecord"], self.arns)],
        )
        replay.function.add_event_source(
            event_sources.SqsEventSource(
                self.fallback, batch_size=5, report_batch_item_failures=True
            )
        )

    def _stream(
        self, project: str, role: iam.Role, storage: StorageStack
    ) -> firehose.CfnDeliveryStream:
        stream = firehose.CfnDeliveryStream(
            self,
            f"stream-{project}",
            delivery_stream_name=f"{self.prefix}{project}",
            delivery_stream_encryption_configuration_input=(
                firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(
                    key_type="AWS_OWNED_CMK"
                )
            ),
            extended_s3_destination_configuration=(
                firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
                    bucket_arn=storage.bucket.bucket_arn,
                    role_arn=role.role_arn,
                    prefix=f"predictions/{project}/{_BY_HOUR}",
                    error_output_prefix=f"predictions-failed/{project}/{_ERROR_TYPE}/{_BY_HOUR}",
                    buffering_hints=firehose.CfnDeliveryStream.BufferingHintsProperty(
                        interval_in_seconds=_BUFFER_SECONDS, size_in_m_bs=_BUFFER_MB
                    ),
                    compression_format="GZIP",
                    cloud_watch_logging_options=(
                        firehose.CfnDeliveryStream.CloudWatchLoggingOptionsProperty(
                            enabled=True,
                            log_group_name=self._group.log_group_name,
                            log_stream_name=logs.LogStream(
                                self,
                                f"delivery-{project}",
                                log_group=self._group,
                                log_stream_name=project,
                                removal_policy=RemovalPolicy.DESTROY,
                            ).log_stream_name,
                        )
                    ),
                )
            ),
        )
        stream.node.add_dependency(role)
        return stream
