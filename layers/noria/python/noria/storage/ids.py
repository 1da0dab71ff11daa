"""Prediction ids: UUIDs that hold the time they were made at."""

import os
from datetime import UTC, datetime
from uuid import UUID

from noria.storage.hashing import sha256_hex

_HEX = frozenset("0123456789abcdef")
OLDEST_ANSWER_DAYS = 90  # ids can be made up: no label looks for an answer further back


def new_prediction_id(at: datetime) -> str:
    """Return a UUID version 7: its first 48 bits are the milliseconds since 1970 (RFC 9562)."""
    milliseconds = int(at.timestamp() * 1000)
    number = milliseconds << 80 | 7 << 76 | int.from_bytes(os.urandom(10)) >> 4
    number = number & ~(3 << 62) | 2 << 62
    return str(UUID(int=number))


def hashed_record_id(project: str, record_id: str) -> str:
    """Return what stands for a record id that is personal: equal ids, equal hashes.

    Whoever can guess an id can compute its hash: it hides ids from readers of the log, no more.

    Examples
    --------
    >>> hashed_record_id("tickets", "INC-7") == hashed_record_id("tickets", "INC-7")
    True
    >>> len(hashed_record_id("tickets", "INC-7"))
    33
    """
    return "~" + sha256_hex(f"{project}\n{record_id}".encode())[:32]


def joined_record_id(project: str, record_id: str) -> str:
    """Return what two record ids have in common where one of them is hashed already.

    A project may have begun to hash its ids, or ceased to, between an answer and its label.

    Examples
    --------
    >>> hashed = hashed_record_id("tickets", "INC-7")
    >>> joined_record_id("tickets", "INC-7") == joined_record_id("tickets", hashed) == hashed
    True
    """
    return record_id if is_hashed(record_id) else hashed_record_id(project, record_id)


def is_hashed(record_id: str) -> bool:
    """Return whether a record id is a hash, as `hashed_record_id` makes them."""
    digits = record_id[1:]
    return record_id[:1] == "~" and len(digits) == 32 and set(digits) <= _HEX


def time_of(prediction_id: str) -> datetime | None:
    """Return when a prediction id was made; None if it is no such id.

    Examples
    --------
    >>> time_of(new_prediction_id(datetime(2026, 3, 1, tzinfo=UTC))).isoformat()
    '2026-03-01T00:00:00+00:00'
    >>> time_of("T-7") is None
    True
    """
    try:
        number = UUID(prediction_id)
    except ValueError:
        return None
    if number.version != 7:
        return None
    try:
        return datetime.fromtimestamp((number.int >> 80) / 1000.0, UTC)
    except (ValueError, OverflowError, OSError):  # made up: its year has five digits
        return None
