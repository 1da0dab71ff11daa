"""A data bucket in memory that keeps versions, as the deployed one does."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import boto3
from moto import mock_aws

from noria_aws.aws.s3 import S3Artifacts

BUCKET = "data"


@contextmanager
def versioned_stage() -> Iterator[Any]:
    """Yield what the command line calls a target: client, outputs, artifacts."""
    with mock_aws():
        yield with_bucket(boto3.client("s3", region_name="us-east-1"), BUCKET)


def with_bucket(client: Any, bucket: str) -> Any:
    """Return such a target with a new bucket."""
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return SimpleNamespace(
        artifacts=S3Artifacts(client, bucket),
        client=lambda _: client,
        outputs={"DataBucket": bucket},
    )
