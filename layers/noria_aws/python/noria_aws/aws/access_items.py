"""Keys, counters and audit entries as DynamoDB items of the access table; no AWS SDK.

`pk` and `sk` are `key` and the digest of a value; `used#<key id>` and a route's minute; `audit`
and an entry's number, padded. Each has a partition of its own kind, which roles are limited to.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from noria.records.access import AccessKey

TTL_ATTRIBUTE = "forget_at"
KEYS, AUDIT = "key", "audit"
USED = "used#"
_COUNTER_HOURS = 1  # then the table forgets a minute's counter by itself
_LISTS = frozenset({"scopes", "projects"})

Item = Mapping[str, Mapping[str, Any]]


def item_key(partition: str, sort: str) -> dict[str, dict[str, str]]:
    """Return an item's key."""
    return {"pk": {"S": partition}, "sk": {"S": sort}}


def key_to_item(key: AccessKey) -> dict[str, dict[str, Any]]:
    """Return a key as an item."""
    item: dict[str, dict[str, Any]] = {**item_key(KEYS, key.digest)}
    for name, value in key._asdict().items():
        if isinstance(value, bool):
            item[name] = {"BOOL": value}
        elif isinstance(value, tuple):
            item[name] = {"S": " ".join(value)}
        elif value is not None and name != "digest":
            item[name] = {"S": value}
    return item


def item_to_key(item: Item) -> AccessKey:
    """Return the key that an item holds."""
    values: dict[str, Any] = {"digest": item["sk"]["S"]}
    for name in AccessKey._fields:
        if name in item:
            ((_, value),) = item[name].items()
            values[name] = tuple(value.split()) if name in _LISTS else value
    return AccessKey(**values)


def find_key(table: str, digest: str) -> dict[str, Any]:
    """Return the request that reads a key."""
    return {"TableName": table, "Key": item_key(KEYS, digest), "ConsistentRead": True}


def note_use(table: str, digest: str, day: str) -> dict[str, Any]:
    """Return the request that notes a day on a key that is there and was last used before it."""
    return {
        "TableName": table,
        "Key": item_key(KEYS, digest),
        "UpdateExpression": "SET last_used_on = :day",
        "ConditionExpression": "attribute_exists(pk) AND "
        "(attribute_not_exists(last_used_on) OR last_used_on < :day)",
        "ExpressionAttributeValues": {":day": {"S": day}},
    }


def take_requests(
    table: str, key_id: str, bucket: str, n: int, most: int, at: datetime
) -> dict[str, Any]:
    """Return the request that counts `n` more, on the condition that there is room for them."""
    forget = int((at + timedelta(hours=_COUNTER_HOURS)).timestamp())
    return {
        "TableName": table,
        "Key": item_key(f"{USED}{key_id}", bucket),
        "UpdateExpression": f"ADD used :n SET {TTL_ATTRIBUTE} = :forget",
        "ConditionExpression": "attribute_not_exists(used) OR used <= :room",
        "ExpressionAttributeValues": {
            ":n": {"N": str(n)},
            ":room": {"N": str(most - n)},
            ":forget": {"N": str(forget)},
        },
    }
