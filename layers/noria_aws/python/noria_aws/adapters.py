"""The ports over boto3, for every function but predict, and for the command line."""

from collections.abc import Iterator, Sequence
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from noria.aliases import AliasChange, AliasRecord, HistoryEntry, apply_change
from noria.errors import AliasConflictError, StoreUnavailableError
from noria.ports import StoredObject
from noria_aws import alias_items
from noria_aws.client_errors import translated

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

    def open(self, key: str) -> BinaryIO:
        """Return the object as a stream that is never wholly in memory."""
        with translated(f"opening {key}", key=key):
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
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


class DynamoDbAliases:
    """`ModelAliases` over one table; a promotion is one transaction."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def read(self, project: str) -> AliasRecord:
        """Return the alias record, read consistently."""
        with translated(f"reading the aliases of {project}"):
            found = self._client.get_item(
                TableName=self._table,
                Key=alias_items.key(project, alias_items.ALIASES_KEY),
                ConsistentRead=True,
            )
        return alias_items.to_record(project, found.get("Item"))

    def apply(self, change: AliasChange) -> AliasRecord:
        """Change the record, add the history row and mark the change, all or nothing."""
        record = self.read(change.project)
        if record.revision != change.expected_revision:
            return self._already_done(change, record)
        after, entry = apply_change(record, change)
        try:
            with translated(f"changing the aliases to {change.model_version}"):
                self._client.transact_write_items(
                    TransactItems=[
                        self._alias_write(after, change.expected_revision),
                        self._new_item(
                            alias_items.history_key(entry.project, entry.revision),
                            alias_items.to_item(entry),
                        ),
                        self._new_item(
                            alias_items.promotion_key(entry.project, entry.promotion_id),
                            {"revision": {"N": str(entry.revision)}},
                        ),
                    ]
                )
        except ClientError as error:
            causes = {reason.get("Code") for reason in error.response["CancellationReasons"]}
            if "ConditionalCheckFailed" not in causes:  # another transaction was in the way
                raise StoreUnavailableError(
                    f"changing the aliases to {change.model_version}: {error}",
                    causes=sorted(map(str, causes)),
                ) from error
            return self._already_done(change, self.read(change.project))
        return after

    def history(self, project: str, *, limit: int = 20) -> Sequence[HistoryEntry]:
        """Return the changes of a project, newest first."""
        with translated(f"reading the history of {project}"):
            found = self._client.query(**alias_items.history_query(self._table, project, limit))
        return [alias_items.to_entry(item) for item in found["Items"]]

    def _already_done(self, change: AliasChange, record: AliasRecord) -> AliasRecord:
        """Return the record if this very promotion happened; else say who was faster."""
        with translated(f"looking for change {change.promotion_id}"):
            found = self._client.get_item(
                TableName=self._table,
                Key=alias_items.promotion_key(change.project, change.promotion_id),
                ConsistentRead=True,
            )
        if "Item" in found:
            return record
        raise AliasConflictError(
            f"{change.project}: the champion alias is at revision {record.revision}, the "
            f"decision was taken at {change.expected_revision}; compare with the new champion",
            project=change.project,
            expected=change.expected_revision,
            got=record.revision,
        )

    def _alias_write(self, after: AliasRecord, expected_revision: int) -> dict[str, Any]:
        key = alias_items.key(after.project, alias_items.ALIASES_KEY)
        put: dict[str, Any] = self._new_item(key, alias_items.to_item(after))
        if expected_revision:
            put["Put"]["ConditionExpression"] = "revision = :expected"
            put["Put"]["ExpressionAttributeValues"] = {":expected": {"N": str(expected_revision)}}
        return put

    def _new_item(
        self, key: dict[str, dict[str, str]], attributes: dict[str, dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._table,
                "Item": {**key, **attributes},
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }
