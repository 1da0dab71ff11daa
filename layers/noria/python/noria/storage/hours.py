"""Hours as names: how logs, profiles and labels are filed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_FORMAT = "%Y-%m-%dT%H"


def hour_name(at: datetime) -> str:
    """Return the hour of a time, in UTC.

    Examples
    --------
    >>> hour_name(datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    '2026-03-01T09'
    """
    return at.astimezone(UTC).strftime(_FORMAT)


def days_between(start: datetime, end: datetime) -> Iterator[str]:
    """Yield what the names of the hours of [start, end] begin with, one a day, ascending.

    Examples
    --------
    >>> list(days_between(datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
    ...                   datetime(2026, 3, 2, 1, 0, tzinfo=UTC)))
    ['2026-03-01T', '2026-03-02T']
    """
    day = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= end:
        yield hour_name(day)[:-2]
        day += timedelta(days=1)


def hours_between(start: datetime, end: datetime) -> Iterator[str]:
    """Yield the names of the hours of [start, end), ascending.

    Examples
    --------
    >>> list(hours_between(datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    ...                    datetime(2026, 3, 1, 11, 0, tzinfo=UTC)))
    ['2026-03-01T09', '2026-03-01T10']
    """
    hour = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield hour_name(hour)
        hour += timedelta(hours=1)
