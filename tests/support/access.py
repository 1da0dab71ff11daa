"""Keys, counters and an audit log in memory, and what API Gateway hands on of a key."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, Literal

from noria.access.grants import to_context
from noria.access.limits import PerMinute, RequestLimits
from noria.errors import KeyNotFoundError
from noria.ports import AccessKeys, AuditLog, KeyLookup, RequestCounts
from noria.records.access import ALL_PROJECTS, AccessKey, Grant
from noria.records.audit import AuditEntry
from noria_aws.aws.clock import SystemClock
from tests.support.ports import implements

USER = Grant("user", "somebody", ("user",), (ALL_PROJECTS,))
ADMIN = Grant("admin", "an admin", ("admin",), (ALL_PROJECTS,))
_NO_LIMITS: PerMinute = {}


def authorized(grant: Grant | None) -> dict[str, Any]:
    """Return the part of an event's context that the authorizer makes; none without a key."""
    if grant is None:
        return {}
    return {"authorizer": {"principalId": grant.key_id, **to_context(grant)}}


@implements(AccessKeys, KeyLookup)
class MemoryAccessKeys:
    """`AccessKeys` and `KeyLookup` in a dictionary."""

    def __init__(self, *keys: AccessKey) -> None:
        self.keys = {key.digest: key for key in keys}
        self.n_looked_up = 0

    def find(self, digest: str) -> AccessKey | None:
        self.n_looked_up += 1
        return self.keys.get(digest)

    def all(self) -> Sequence[AccessKey]:
        return sorted(self.keys.values(), key=lambda key: key.created_at, reverse=True)

    def add(self, key: AccessKey) -> None:
        self.keys[key.digest] = key

    def end(self, digest: str, field: Literal["expires_at", "revoked_at"], at: str) -> None:
        if digest not in self.keys:
            raise KeyNotFoundError("the key is gone")
        key = self.keys[digest]
        is_end = field == "expires_at"
        self.keys[digest] = key._replace(expires_at=at) if is_end else key._replace(revoked_at=at)

    def note_use(self, digest: str, day: str) -> None:
        if digest in self.keys:
            last = self.keys[digest].last_used_on or ""
            self.keys[digest] = self.keys[digest]._replace(last_used_on=max(last, day))


@implements(RequestCounts)
class MemoryRequestCounts:
    """`RequestCounts` in a dictionary."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, str], int] = {}
        self._lock = Lock()

    def take(self, key_id: str, bucket: str, n: int, most: int, at: datetime) -> bool:
        with self._lock:
            used = self.used.get((key_id, bucket), 0) + n
            if used > most:
                return False
            self.used[key_id, bucket] = used
            return True


@implements(AuditLog)
class MemoryAuditLog:
    """`AuditLog` in a list."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self._lock = Lock()

    def last(self) -> AuditEntry | None:
        return self.entries[-1] if self.entries else None

    def append(self, entry: AuditEntry) -> bool:
        with self._lock:
            if entry.number <= len(self.entries):
                return False
            self.entries.append(entry)
            return True

    def before(self, number: int | None, limit: int) -> Sequence[AuditEntry]:
        below = [e for e in self.entries if number is None or e.number < number]
        return below[::-1][:limit]


def request_limits(per_minute: Mapping[str, Mapping[str, int]] = _NO_LIMITS) -> RequestLimits:
    """Return limits that are counted in memory, by default none."""
    return RequestLimits(per_minute, MemoryRequestCounts(), SystemClock())
