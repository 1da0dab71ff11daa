"""A data bucket in memory that keeps versions, as the deployed one does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ClientError
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
        yield _stage(client)


def _stage(client: Any) -> Any:
    return SimpleNamespace(
        artifacts=S3Artifacts(client, BUCKET),
        client=lambda _: client,
        outputs={"DataBucket": BUCKET},
    )


class MemoryBucket:
    """An S3 client with one bucket in memory that keeps versions: a hundred times as fast as moto.

    Attributes
    ----------
    before : function of (operation, key)
        Is called before each write; what it raises happens to the caller.
    """

    def __init__(self) -> None:
        self._versions: dict[str, list[tuple[str, bytes]]] = {}  # by key, the newest last
        self._n_written = 0
        self.before: Callable[[str, str], None] = lambda _, __: None

    def put_object(self, *, Bucket: str, Key: str, Body: Any, IfMatch: str | None = None) -> Any:
        """Write a version; the tag has to be that of the newest where one is given."""
        self.before("PutObject", Key)
        body = Body if isinstance(Body, bytes) else Body.read()
        newest = self._versions.get(Key, [("", b"")])[-1][1]
        if IfMatch is not None and IfMatch != _tag(newest):
            raise _refused("PreconditionFailed", "PutObject")
        self._n_written += 1
        self._versions.setdefault(Key, []).append((f"v{self._n_written}", body))

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> Any:
        """Read a version, or the newest."""
        for version_id, body in reversed(self._versions.get(Key, [])):
            if VersionId in (None, version_id):
                return {"Body": BytesIO(body)}
        raise _refused("NoSuchVersion" if VersionId else "NoSuchKey", "GetObject")

    def delete_object(self, *, Bucket: str, Key: str, VersionId: str) -> None:
        """Delete a version for good."""
        self.before("DeleteObject", Key)
        left = [version for version in self._versions.get(Key, ()) if version[0] != VersionId]
        self._versions.pop(Key, None)
        if left:
            self._versions[Key] = left

    def get_bucket_versioning(self, *, Bucket: str) -> Any:
        """Say that versions are kept."""
        return {"Status": "Enabled"}

    def get_paginator(self, operation: str) -> Any:
        """Return what lists versions, or the newest of each key, on one page."""
        is_all = operation == "list_object_versions"
        return SimpleNamespace(paginate=lambda **at: [self._page(at.get("Prefix", ""), is_all)])

    def _page(self, prefix: str, is_all: bool) -> Any:
        found = [
            {
                "Key": key,
                "VersionId": version_id,
                "ETag": _tag(body),
                "IsLatest": place == 0,
                "Size": len(body),
                "LastModified": None,
            }
            for key in sorted(self._versions)
            if key.startswith(prefix)
            for place, (version_id, body) in enumerate(reversed(self._versions[key]))
        ]
        return {"Versions" if is_all else "Contents": [f for f in found if is_all or f["IsLatest"]]}


def memory_stage() -> Any:
    """Return such a target over a bucket in memory."""
    return _stage(MemoryBucket())


def _tag(body: bytes) -> str:
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'


def _refused(code: str, operation: str) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 404}}
    return ClientError(answer, operation)
