"""One reading of a raw value, the same for training rows and for prediction requests."""

from collections.abc import Container
from datetime import UTC, datetime
from math import isfinite
from typing import Any

_KINDS = {
    bool: "a boolean",
    str: "text",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in a word for people.

    Examples
    --------
    >>> [kind_of(value) for value in ("a", True, 1.5, [], {}, None)]
    ['text', 'a boolean', 'a number', 'a list', 'an object', 'nothing']
    """
    return _KINDS.get(type(value), "nothing")


def normalized(value: Any, column_type: str, missing: Container[str]) -> Any:
    """Return a value as the column reads it; None when it means "missing".

    Parameters
    ----------
    value : JSON value or CSV cell
    column_type : "text", "number", "category" or "time"
    missing : container of str
        The spec's `dataset.missing`, compared without surrounding blanks.

    Examples
    --------
    >>> normalized(" NA ", "text", {"NA"}) is None
    True
    >>> normalized(" Cali ", "category", {"NA"})
    'Cali'
    >>> normalized(True, "category", set())
    'true'
    >>> normalized("2024-01-31T23:30:00-05:00", "time", set())
    '2024-02-01T04:30:00+00:00'
    """
    if isinstance(value, bool) and column_type == "category":
        return str(value).lower()
    if isinstance(value, str):
        stripped = value.strip()
        if stripped in missing:
            return None
        if column_type == "category":
            return stripped
        if column_type == "time":
            try:
                return utc(datetime.fromisoformat(stripped))
            except (ValueError, OverflowError):
                return stripped  # whoever reads it names the fault
    return value


def utc(at: datetime) -> str:
    """Return a time as ISO 8601 text in UTC, which it is in when it names no zone."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def as_number(
    value: Any, low: float | None = None, high: float | None = None
) -> tuple[float | None, str | None]:
    """Return (number, None), or (None, reason) for what is no finite number in [low, high].

    No reason quotes the value: reasons are counted, and told in alerts.

    Examples
    --------
    >>> as_number("3.5")
    (3.5, None)
    >>> as_number("six", 0, 9)
    (None, 'must be a number, got text')
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None, f"must be a number, got {kind_of(value)}"
    try:
        number = float(value)
    except ValueError:
        return None, "must be a number, got text"
    except OverflowError:  # an integer beyond the range of a double; it may be too long to show
        return None, "must be a finite number"
    if not isfinite(number):
        return None, "must be a finite number"
    if (low is not None and number < low) or (high is not None and number > high):
        return None, f"outside [{low}, {high}]"
    return number, None
