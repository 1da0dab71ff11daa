"""In-memory ports, held to the same contract tests as the AWS adapters."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from threading import Lock
from typing import Any, BinaryIO

from noria.aliases import AliasChange, AliasRecord, HistoryEntry, apply_change
from noria.errors import AliasConflictError
from noria.ports import StoredObject

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryArtifacts:
    """`ArtifactStore` in a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.modified: dict[str, datetime] = {}
        self._lock = Lock()

    def get(self, key: str) -> bytes:
        return self.objects[key]

    def open(self, key: str) -> BinaryIO:
        return BytesIO(self.objects[key])

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        with self._lock:
            if if_absent and key in self.objects:
                return False
            self.objects[key] = body
            return True

    def exists(self, key: str) -> bool:
        return key in self.objects

    def under(self, prefix: str) -> Iterator[StoredObject]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield StoredObject(key, len(self.objects[key]), self.modified.get(key, _EPOCH))


class MemoryAliases:
    """`ModelAliases` in a dictionary; the lock is the transaction."""

    def __init__(self) -> None:
        self._records: dict[str, AliasRecord] = {}
        self._history: dict[str, list[HistoryEntry]] = defaultdict(list)
        self._lock = Lock()

    def read(self, project: str) -> AliasRecord:
        return self._records.get(project, AliasRecord(project, 0, None, None, None))

    def apply(self, promotion: AliasChange) -> AliasRecord:
        with self._lock:
            record = self.read(promotion.project)
            done = {entry.promotion_id for entry in self._history[promotion.project]}
            if promotion.promotion_id in done:
                return record
            if record.revision != promotion.expected_revision:
                raise AliasConflictError("someone else moved the alias")
            after, entry = apply_change(record, promotion)
            self._records[promotion.project] = after
            self._history[promotion.project].append(entry)
            return after

    def history(self, project: str, *, limit: int = 20) -> Sequence[HistoryEntry]:
        return self._history[project][::-1][:limit]


class MemoryLog:
    """`PredictionLog` in a list."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []

    def append(self, project: str, records: Sequence[Mapping[str, Any]]) -> None:
        self.records += records


class SteppingClock:
    """`Clock` that moves one second at each reading."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now
