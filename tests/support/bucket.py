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
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield SimpleNamespace(
            artifacts=S3Artifacts(client, BUCKET),
            client=lambda _: client,
            outputs={"DataBucket": BUCKET},
        )
