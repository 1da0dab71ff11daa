"""Everything with data in it: kept when the stack goes, versioned, encrypted, private."""

from typing import Any, cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.config import Deployment

_OLD_OBJECT_VERSIONS_DAYS = 30


class StorageStack(Stack):
    """The data bucket, the alias table and the access table."""

    def __init__(
        self, scope: Construct, name: str, *, deployment: Deployment, **kwargs: Any
    ) -> None:
        super().__init__(scope, name, termination_protection=True, tags=deployment.tags, **kwargs)
        self.bucket = s3.Bucket(
            self,
            "Data",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                *(
                    s3.LifecycleRule(prefix=prefix, expiration=Duration.days(days))
                    for prefix, days in deployment.retention().items()
                    if days is not None
                ),
                s3.LifecycleRule(
                    noncurrent_version_expiration=Duration.days(_OLD_OBJECT_VERSIONS_DAYS),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                ),
            ],
        )
        self._keep_versions_immutable()
        # Without the construct's own way, which brings a function of its own into this stack.
        cfn_bucket = cast(s3.CfnBucket, self.bucket.node.default_child)
        cfn_bucket.add_property_override(
            "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True
        )
        self.aliases = self._table("Aliases", forgets_at="expires_at")
        self.access = self._table("Access", forgets_at="forget_at")  # keys, counters, audit log

    def created(self, prefix: str) -> events.EventPattern:
        """Return the event of each object that is put under a prefix of the data bucket."""
        return events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={
                "bucket": {"name": [self.bucket.bucket_name]},
                "object": {"key": [{"prefix": prefix}]},
            },
        )

    def _table(self, name: str, *, forgets_at: str) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            name,
            partition_key=_string("pk"),
            sort_key=_string("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.DEFAULT,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=True,
            time_to_live_attribute=forgets_at,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _keep_versions_immutable(self) -> None:
        """Refuse writes that could overwrite what is kept as it was: `If-None-Match` or nothing."""
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[
                    self.bucket.arn_for_objects("models/*"),
                    self.bucket.arn_for_objects("datasets/*"),
                    self.bucket.arn_for_objects("audit/*"),
                ],
                conditions={"Null": {"s3:if-none-match": "true"}},
            )
        )


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
