"""The number of a stored record's format, without the codec: a cold start of predict reads it."""

import json
from typing import Any

from noria.errors import SettingsError

FORMAT = "format"  # field of a stored record
CURRENT = 1  # what is written, and the newest that is read; absent in files of before


def from_stored(name: str, body: bytes) -> dict[str, Any]:
    """Return the JSON object of a stored record, its format checked and its fields not.

    For a reader of one field of a large record: `name` is the record's, for messages.

    Raises
    ------
    SettingsError
        A newer Noria wrote it, or it is no object.
    """
    document = json.loads(body)
    if not isinstance(document, dict):
        got = type(document).__name__
        raise SettingsError(f"{name}: stored as {got}, expected an object", got=got)
    number = document.pop(FORMAT, CURRENT)
    if number != CURRENT:
        raise SettingsError(
            f"{name}: stored in format {number}, this code reads format {CURRENT}; "
            "deploy the newer version again",
            got=number,
            expected=CURRENT,
        )
    return document
