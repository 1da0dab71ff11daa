"""`AccessKeys`, `RequestCounts` and `AuditLog` over the access table, with the AWS SDK."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from noria.errors import KeyNotFoundError, SettingsError
from noria.records.access import AccessKey
from noria.records.audit import AuditEntry
from noria.records.codec import from_bytes, to_bytes
from noria_aws.aws import access_items
from noria_aws.aws.client_errors import require_condition, translated


class DynamoDbAccessKeys:
    """`AccessKeys`: one item a key."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def find(self, digest: str) -> AccessKey | None:
        """Return a key; None where there is none."""
        with translated("reading a key"):
            found = self._client.get_item(**access_items.find_key(self._table, digest))
        return access_items.item_to_key(found["Item"]) if "Item" in found else None

    def all(self) -> Sequence[AccessKey]:
        """Return every key, newest first."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": access_items.KEYS}},
            ConsistentRead=True,
        )
        with translated("listing the keys"):
            found = [access_items.item_to_key(item) for page in pages for item in page["Items"]]
        return sorted(found, key=lambda key: key.created_at, reverse=True)

    def add(self, key: AccessKey) -> None:
        """File a new key."""
        with translated("filing a key"):
            if not _put_once(self._client, self._table, access_items.key_to_item(key)):
                raise SettingsError("a key with this digest is there already")

    def end(self, digest: str, field: Literal["expires_at", "revoked_at"], at: str) -> None:
        """Say when a key ends, or ended."""
        try:
            with translated("ending a key"):
                self._client.update_item(
                    TableName=self._table,
                    Key=access_items.item_key(access_items.KEYS, digest),
                    UpdateExpression=f"SET {field} = :at",
                    ConditionExpression="attribute_exists(pk)",
                    ExpressionAttributeValues={":at": {"S": at}},
                )
        except ClientError as error:
            require_condition(error)
            raise KeyNotFoundError("the key is gone") from error


class DynamoDbRequestCounts:
    """`RequestCounts`: one item a key, route and minute."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def take(self, key_id: str, bucket: str, n: int, most: int, at: datetime) -> bool:
        """Count `n` more, unless that makes more than `most`."""
        request = access_items.take_requests(self._table, key_id, bucket, n, most, at)
        try:
            with translated("counting a request"):
                self._client.update_item(**request)
        except ClientError as error:
            require_condition(error)
            return False
        return True


class DynamoDbAuditLog:
    """`AuditLog`: one item an entry; an entry is put once and never again."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def last(self) -> AuditEntry | None:
        """Return the newest entry, read consistently."""
        return next(iter(self.before(None, 1)), None)

    def append(self, entry: AuditEntry) -> bool:
        """File an entry; False where its number is taken."""
        item = {**_entry_key(entry.number), "body": {"S": to_bytes(entry).decode()}}
        with translated("writing the audit log"):
            return _put_once(self._client, self._table, item)

    def before(self, number: int | None, limit: int) -> Sequence[AuditEntry]:
        """Return entries below a number, newest first."""
        values = {":pk": {"S": access_items.AUDIT}}
        condition = "pk = :pk"
        if number is not None:
            condition += " AND sk < :sk"
            values[":sk"] = _entry_key(number)["sk"]
        with translated("reading the audit log"):
            found = self._client.query(
                TableName=self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ScanIndexForward=False,
                Limit=limit,
                ConsistentRead=True,
            )
        return [from_bytes(AuditEntry, item["body"]["S"].encode()) for item in found["Items"]]


def _put_once(client: Any, table: str, item: dict[str, dict[str, Any]]) -> bool:
    """Put an item where none is; False where another one is.

    The SDK tries again where an answer was lost: then this very item is there, and was put.
    """
    try:
        client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    except ClientError as error:
        require_condition(error)
        place = {"TableName": table, "Key": {name: item[name] for name in ("pk", "sk")}}
        return bool(client.get_item(**place, ConsistentRead=True).get("Item") == item)
    return True


def _entry_key(number: int) -> dict[str, dict[str, str]]:
    return access_items.item_key(access_items.AUDIT, f"{number:012d}")
