"""How many requests a minute a key may send to a route, exactly. Standard library only.

API Gateway's own throttles and quotas are best effort. Here each minute has a counter of its own,
and a request is let through by the conditional write that counts it: one write a request.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from noria.errors import InvalidInputError, TooManyRequestsError
from noria.ports import Clock, RequestCounts
from noria.records.access import Grant

_BATCH = "predict_batch"
ROWS = "rows"  # the limit that counts the rows of batches in place of their requests
PerMinute = Mapping[str, Mapping[str, int]]  # project ("" for none) -> limit's name -> requests
_MINUTE = 60


class Asked(NamedTuple):
    """What a request asks for, as far as limits go."""

    project: str
    operation: str
    limit: str  # the name of the limit that its route has
    n_rows: int = 1


class RequestLimits:
    """The limits of one deployment.

    Parameters
    ----------
    per_minute : mapping
        Limits of each project by name; what is not named has none.
    """

    def __init__(self, per_minute: PerMinute, counts: RequestCounts, clock: Clock) -> None:
        self._per_minute, self._counts, self._clock = per_minute, counts, clock

    def counts_rows(self, project: str, operation: str) -> bool:
        """Return whether the rows of a request are counted: its body must be read before."""
        return operation == _BATCH and ROWS in self._per_minute.get(project, {})

    def require(self, grant: Grant, asked: Asked) -> None:
        """Count a request; what is refused counts nothing.

        Raises
        ------
        TooManyRequestsError
            It is above the limit of this minute; with the seconds until the next one.
        InvalidInputError
            It has more rows than any minute takes.
        """
        n, limit = 1, asked.limit
        if self.counts_rows(asked.project, asked.operation):
            n, limit = max(asked.n_rows, 1), ROWS
        most = self._per_minute.get(asked.project, {}).get(limit)
        if most is None or not grant.is_limited:
            return
        if n > most:
            reason = f"must be at most {most:,} rows: a minute takes no more of this key"
            raise InvalidInputError(
                f"items: {reason}", errors=[{"field": "items", "reason": reason}]
            )
        now = self._clock.now()
        bucket = f"{asked.project}#{asked.operation}#{_minute_of(now)}"
        if not self._counts.take(grant.key_id, bucket, n, most, now):
            what = "rows" if limit == ROWS else "requests"
            raise TooManyRequestsError(
                f"at most {most:,} {what} a minute of this key to this route",
                retry_after=_MINUTE - now.second,
            )


def _minute_of(at: datetime) -> int:
    return int(at.timestamp()) // _MINUTE
