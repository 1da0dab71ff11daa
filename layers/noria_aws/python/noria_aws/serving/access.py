"""`KeyLookup` and `RequestCounts` over signed HTTP: what the authorizer and predict need of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from noria.errors import SettingsError
from noria.records.access import AccessKey
from noria_aws.aws import access_items
from noria_aws.serving.ports import dynamodb_call
from noria_aws.serving.signed_http import SignedHttp

_UNMET = "ConditionalCheckFailedException"


class HttpKeyLookup:
    """`KeyLookup` over the access table."""

    def __init__(self, table: str, http: SignedHttp) -> None:
        self._table, self._http = table, http

    def find(self, digest: str) -> AccessKey | None:
        """Return a key; None where there is none."""
        found = dynamodb_call(self._http, "GetItem", access_items.find_key(self._table, digest))
        return access_items.item_to_key(found["Item"]) if "Item" in found else None

    def note_use(self, digest: str, day: str) -> None:
        """Note the last day that a key was used on; what is gone stays gone."""
        _is_met(self._http, access_items.note_use(self._table, digest, day))


class HttpRequestCounts:
    """`RequestCounts` over the access table.

    A request whose answer was lost is sent again and may count twice: it is never let through
    more often than the limit says.
    """

    def __init__(self, table: str, http: SignedHttp) -> None:
        self._table, self._http = table, http

    def take(self, key_id: str, bucket: str, n: int, most: int, at: datetime) -> bool:
        """Count `n` more, unless that makes more than `most`."""
        request = access_items.take_requests(self._table, key_id, bucket, n, most, at)
        return _is_met(self._http, request)


def _is_met(http: SignedHttp, update: Mapping[str, Any]) -> bool:
    """Update an item; return False where its condition is not met."""
    try:
        dynamodb_call(http, "UpdateItem", update)
    except SettingsError as error:
        if _UNMET in error.message:
            return False
        raise
    return True
