"""`ModelAliases` over DynamoDB, for every function but predict, and for the command line."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from noria.errors import AliasConflictError, StoreUnavailableError
from noria.records.alias import AliasChange, AliasRecord, HistoryEntry, apply_change
from noria_aws.aws import alias_items
from noria_aws.aws.client_errors import translated


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
