"""`ArtifactStore` over S3, for every function but predict, and for the command line."""

from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from noria.errors import StoreUnavailableError
from noria.ports import StoredObject
from noria_aws.aws.client_errors import translated

_CONFLICT_ATTEMPTS = 5  # S3 answers 409 while another conditional write is under way
_BUFFER_BYTES = 1 << 20
_ONE_THREAD = TransferConfig(multipart_chunksize=16 << 20, use_threads=False)  # memory is one chunk


class S3Artifacts:
    """`ArtifactStore` over one bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def get(self, key: str) -> bytes:
        """Return the object's bytes; KeyError when there is none."""
        with translated(f"reading {key}", key=key):
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            return body

    def open(self, key: str, version_id: str | None = None) -> BinaryIO:
        """Return the object, or an earlier version, as a stream that is never wholly in memory."""
        at = {"Bucket": self._bucket, "Key": key}
        if version_id is not None:
            at["VersionId"] = version_id
        with translated(f"opening {key}", key=key):
            body = self._client.get_object(**at)["Body"]
        return BufferedReader(_Body(body, key), _BUFFER_BYTES)

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        """Write the object; with `if_absent`, False when the key already holds one."""
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        for _ in range(_CONFLICT_ATTEMPTS):
            try:
                with translated(f"writing {key}"):
                    self._client.put_object(Bucket=self._bucket, Key=key, Body=body, **condition)
                return True
            except ClientError as error:
                if error.response["Error"]["Code"] == "PreconditionFailed":
                    return False
        raise StoreUnavailableError(f"writing {key}: conflicting writes do not end", key=key)

    def put_stream(self, key: str, stream: BinaryIO) -> None:
        """Write what is left of a stream in several parts; S3 shows the object once it is whole."""
        with translated(f"writing {key}"):
            self._client.upload_fileobj(stream, self._bucket, key, Config=_ONE_THREAD)

    def exists(self, key: str) -> bool:
        """Return whether the key holds an object."""
        try:
            with translated(f"looking at {key}", key=key):
                self._client.head_object(Bucket=self._bucket, Key=key)
        except KeyError:
            return False
        return True

    def under(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects below a prefix, in order of key."""
        pages = self._client.get_paginator("list_objects_v2")
        with translated(f"listing {prefix}"):
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield StoredObject(found["Key"], found["Size"], found["LastModified"])


class _Body(RawIOBase):
    """An object's body whose broken connection is a StoreUnavailableError, as everywhere."""

    def __init__(self, body: Any, key: str) -> None:
        self._body, self._key = body, key

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        with translated(f"reading {self._key}"):
            block: bytes = self._body.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)
