"""`ProjectState` over the alias table: one item a record, beside the aliases and the claims."""

from typing import Any

from botocore.exceptions import ClientError

from noria.records.state import StateRecord
from noria_aws.aws.client_errors import require_condition, translated


class DynamoDbState:
    """Records under keys of their own, so that who may write them may not move aliases."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def read(self, project: str, name: str) -> StateRecord:
        """Return a record with its revision, read consistently."""
        with translated(f"reading {name} of {project}"):
            item = self._client.get_item(
                TableName=self._table, Key=_key(project, name), ConsistentRead=True
            ).get("Item")
        if item is None:
            return StateRecord(None, 0)
        return StateRecord(item["body"]["S"].encode(), int(item["revision"]["N"]))

    def write(self, project: str, name: str, body: bytes, *, expected_revision: int) -> bool:
        """Write a record; return False and change nothing at any other revision."""
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if expected_revision:
            condition = {
                "ConditionExpression": "revision = :expected",
                "ExpressionAttributeValues": {":expected": {"N": str(expected_revision)}},
            }
        try:
            with translated(f"writing {name} of {project}"):
                self._client.put_item(
                    TableName=self._table,
                    Item={
                        **_key(project, name),
                        "revision": {"N": str(expected_revision + 1)},
                        "body": {"S": body.decode()},
                    },
                    **condition,
                )
        except ClientError as error:
            require_condition(error)
            return False
        return True


def _key(project: str, name: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"state#{project}"}, "sk": {"S": name}}
