"""Alias records and history rows as DynamoDB items: one table, one item collection a project.

`pk` is `project#<name>`; `sk` is `aliases` for the record, `history#<revision>` for a history
row and `promotion#<id>` for the mark that makes a promotion happen once.
"""

from collections.abc import Mapping
from typing import Any

from noria.records.alias import AliasRecord, HistoryEntry

Item = Mapping[str, Mapping[str, Any]]
ALIASES_KEY, HISTORY_PREFIX = "aliases", "history#"


def key(project: str, sort: str) -> dict[str, dict[str, str]]:
    """Return an item's key."""
    return {"pk": {"S": f"project#{project}"}, "sk": {"S": sort}}


def history_key(project: str, revision: int) -> dict[str, dict[str, str]]:
    """Return a history row's key; padded, so that the sort order is the order of time."""
    return key(project, f"{HISTORY_PREFIX}{revision:09d}")


def promotion_key(project: str, promotion_id: str) -> dict[str, dict[str, str]]:
    """Return the key of the mark of a promotion."""
    return key(project, f"promotion#{promotion_id}")


def to_item(value: AliasRecord | HistoryEntry) -> dict[str, dict[str, Any]]:
    """Return a record or history row as typed attributes, without its key."""
    return {name: _attribute(field) for name, field in value._asdict().items()}


def to_record(project: str, item: Item | None) -> AliasRecord:
    """Return the alias record of an item; of none, the record of a project never promoted.

    Attributes that this code does not know are left out: newer code may have written them.
    """
    if not item:
        return AliasRecord(project, 0, None, None, None)
    fields = _fields(item)
    return AliasRecord(**{name: fields[name] for name in AliasRecord._fields if name in fields})


def to_entry(item: Item) -> HistoryEntry:
    """Return the history row of an item."""
    return HistoryEntry(**_fields(item))


def _attribute(value: Any) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def _fields(item: Item) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, attribute in item.items():
        if name in ("pk", "sk"):
            continue
        ((kind, value),) = attribute.items()
        values[name] = None if kind == "NULL" else _number(value) if kind == "N" else value
    return values


def _number(text: str) -> int | float:
    """DynamoDB may write 1.0 as 1 and 0.25 as 0.25; counts and fractions both survive that."""
    return int(text) if text.isdigit() else float(text)


def history_query(table: str, project: str, limit: int) -> dict[str, Any]:
    """Return the DynamoDB Query for the newest history rows of a project."""
    return {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :history)",
        "ExpressionAttributeValues": {
            ":pk": {"S": f"project#{project}"},
            ":history": {"S": HISTORY_PREFIX},
        },
        "ScanIndexForward": False,
        "Limit": limit,
    }
