"""`Claims` over the alias table: conditional writes decide who does a thing."""

from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from noria_aws.aws.client_errors import require_condition, translated

_KEPT_DAYS = 90  # then the table forgets them by itself
TTL_ATTRIBUTE = "expires_at"


class DynamoDbClaims:
    """One item a key; `expires_at` lets the table forget it."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def claim(
        self, project: str, key: str, owner: str, at: datetime, lease_seconds: float
    ) -> Literal["won", "held", "done"]:
        """Take a key unless it is done or another owner's lease runs."""
        until = (at + timedelta(seconds=lease_seconds)).isoformat()
        try:
            with translated(f"claiming {key}"):
                self._client.put_item(
                    TableName=self._table,
                    Item={
                        **_key(project, key),
                        "claimed_by": {"S": owner},
                        "is_done": {"BOOL": False},
                        "lease_until": {"S": until},
                        TTL_ATTRIBUTE: {"N": _expiry(at)},
                    },
                    ConditionExpression="attribute_not_exists(pk) OR (is_done = :no AND "
                    "(claimed_by = :me OR lease_until < :now))",
                    ExpressionAttributeValues={
                        ":no": {"BOOL": False},
                        ":me": {"S": owner},
                        ":now": {"S": at.isoformat()},
                    },
                )
            return "won"
        except ClientError as error:
            require_condition(error)
        with translated(f"looking at {key}"):
            found = self._client.get_item(
                TableName=self._table, Key=_key(project, key), ConsistentRead=True
            ).get("Item")
        return "done" if found and found["is_done"]["BOOL"] else "held"

    def finish(self, project: str, key: str, owner: str) -> None:
        """Mark the key as done, if it is still the owner's."""
        try:
            with translated(f"finishing {key}"):
                self._client.update_item(
                    TableName=self._table,
                    Key=_key(project, key),
                    UpdateExpression="SET is_done = :yes",
                    ConditionExpression="claimed_by = :me",
                    ExpressionAttributeValues={":yes": {"BOOL": True}, ":me": {"S": owner}},
                )
        except ClientError as error:
            require_condition(error)

    def release(self, project: str, key: str) -> bool:
        """Delete the key; return whether it was there."""
        with translated(f"releasing {key}"):
            gone = self._client.delete_item(
                TableName=self._table,
                Key=_key(project, key),
                ReturnValues="ALL_OLD",
            )
        return "Attributes" in gone

    def count(self, project: str, key: str, unit: str, at: datetime) -> int:
        """Add a unit to the key's set and return the set's size."""
        with translated(f"counting {key}"):
            found = self._client.update_item(
                TableName=self._table,
                Key=_key(project, key),
                UpdateExpression=f"ADD units :unit SET {TTL_ATTRIBUTE} = :expiry",
                ExpressionAttributeValues={":unit": {"SS": [unit]}, ":expiry": {"N": _expiry(at)}},
                ReturnValues="ALL_NEW",
            )
        return len(found["Attributes"]["units"]["SS"])


def _key(project: str, key: str) -> dict[str, dict[str, str]]:
    """Claims lie under keys of their own, so that who may claim may not move aliases."""
    return {"pk": {"S": f"claims#{project}"}, "sk": {"S": key}}


def _expiry(at: datetime) -> str:
    return str(int((at + timedelta(days=_KEPT_DAYS)).timestamp()))
