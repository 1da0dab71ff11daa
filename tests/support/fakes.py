"""In-memory ports, held to the same contract tests as the AWS adapters."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from noria.errors import AliasConflictError
from noria.ports import (
    ArtifactIndex,
    ArtifactStore,
    Claims,
    Clock,
    Execution,
    Executions,
    FileStore,
    LinkedStore,
    MachineName,
    ModelAliases,
    PredictionLog,
    ProjectState,
    StoredObject,
    WaitingExecutions,
)
from noria.records.alias import AliasChange, AliasRecord, HistoryEntry, apply_change
from noria.records.prediction import PredictionRecord
from noria.records.state import StateRecord
from tests.support.ports import implements

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@implements(ArtifactStore, ArtifactIndex, FileStore, LinkedStore)
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

    def put_stream(self, key: str, stream: BinaryIO) -> None:
        self.put(key, stream.read())

    def link(self, method: str, key: str, seconds: int) -> str:
        return f"memory://{method}/{key}?{seconds}"

    def count(self, prefix: str) -> int:
        return sum(1 for _ in self.under(prefix))

    def exists(self, key: str) -> bool:
        return key in self.objects

    def copied(self) -> "MemoryArtifacts":
        made = MemoryArtifacts()
        made.objects, made.modified = dict(self.objects), dict(self.modified)
        return made

    def under(self, prefix: str) -> Iterator[StoredObject]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield StoredObject(key, len(self.objects[key]), self.modified.get(key, _EPOCH))


@implements(ModelAliases)
class MemoryAliases:
    """`ModelAliases` in a dictionary; the lock is the transaction."""

    def __init__(self) -> None:
        self._records: dict[str, AliasRecord] = {}
        self._history: dict[str, list[HistoryEntry]] = defaultdict(list)
        self._lock = Lock()

    def read(self, project: str) -> AliasRecord:
        return self._records.get(project, _never_promoted(project))

    def apply(self, change: AliasChange) -> AliasRecord:
        with self._lock:
            record = self._records.get(change.project, _never_promoted(change.project))
            done = {entry.promotion_id for entry in self._history[change.project]}
            if change.promotion_id in done:
                return record
            if record.revision != change.expected_revision:
                raise AliasConflictError("someone else moved the alias")
            after, entry = apply_change(record, change)
            self._records[change.project] = after
            self._history[change.project].append(entry)
            return after

    def copied(self) -> "MemoryAliases":
        made = MemoryAliases()
        made._records = dict(self._records)
        for project, entries in self._history.items():
            made._history[project] = list(entries)
        return made

    def history(self, project: str, *, limit: int = 20) -> Sequence[HistoryEntry]:
        return self._history[project][::-1][:limit]


def _never_promoted(project: str) -> AliasRecord:
    return AliasRecord(project, 0, None, None, None)


@implements(ProjectState)
class MemoryState:
    """`ProjectState` in a dictionary."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], StateRecord] = {}
        self._lock = Lock()

    def read(self, project: str, name: str) -> StateRecord:
        return self._records.get((project, name), StateRecord(None, 0))

    def write(self, project: str, name: str, body: bytes, *, expected_revision: int) -> bool:
        with self._lock:
            _, revision = self._records.get((project, name), (None, 0))
            if revision != expected_revision:
                return False
            self._records[project, name] = StateRecord(body, expected_revision + 1)
            return True


@implements(PredictionLog)
class MemoryLog:
    """`PredictionLog` in a list of lines, as they are written."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []

    def append(self, project: str, records: Sequence[PredictionRecord]) -> None:
        self.records += [record.to_dict() for record in records]


@implements(Clock)
class SteppingClock:
    """`Clock` that moves one second at each reading."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


@implements(Clock)
class FixedClock:
    """`Clock` that stands still."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@implements(Claims)
class MemoryClaims:
    """`Claims` in a dictionary."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], tuple[str, datetime, bool]] = {}
        self._units: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._lock = Lock()

    def claim(
        self, project: str, key: str, owner: str, at: datetime, lease_seconds: float
    ) -> Literal["won", "held", "done"]:
        with self._lock:
            holder, until, is_done = self._claims.get((project, key), (owner, at, False))
            if is_done:
                return "done"
            if holder != owner and until >= at:
                return "held"
            self._claims[project, key] = (owner, at + timedelta(seconds=lease_seconds), False)
            return "won"

    def finish(self, project: str, key: str, owner: str) -> None:
        with self._lock:
            holder, until, _ = self._claims.get((project, key), ("", datetime.max, False))
            if holder == owner:
                self._claims[project, key] = (owner, until, True)

    def release(self, project: str, key: str) -> bool:
        with self._lock:
            return self._claims.pop((project, key), None) is not None

    def count(self, project: str, key: str, unit: str, at: datetime) -> int:
        with self._lock:
            self._units[project, key].add(unit)
            return len(self._units[project, key])


@implements(Executions)
class MemoryExecutions:
    """State machines that only remember what was started; tests say how it stands."""

    def __init__(self) -> None:
        self.started: dict[tuple[MachineName, str], Mapping[str, Any]] = {}
        self.standing: dict[str, Execution] = {}

    def start(self, machine: MachineName, name: str, message: Mapping[str, Any]) -> bool:
        if (machine, name) in self.started:
            return False
        self.started[machine, name] = message
        return True

    def read(self, machine: MachineName, name: str) -> Execution | None:
        if (machine, name) not in self.started:
            return None
        project = str(self.started[machine, name]["project"])
        running = Execution(project, "running", _EPOCH, {}, None, "PrepareDataset")
        return self.standing.get(name, running)


@implements(WaitingExecutions)
class MemoryWaiting:
    """Executions that wait for an approval, or wait no more."""

    def __init__(self, *, is_there: bool = True) -> None:
        self.answers: list[tuple[str, bool, str]] = []
        self._is_there = is_there

    def answer(self, token: str, *, is_approved: bool, by: str) -> bool:
        self.answers.append((token, is_approved, by))
        return self._is_there


if TYPE_CHECKING:  # the type checker holds the types of arguments and answers too
    _CONFORM: tuple[
        FileStore, LinkedStore, ModelAliases, ProjectState, PredictionLog, Clock, Clock, Claims,
        Executions, WaitingExecutions,
    ] = (
        MemoryArtifacts(), MemoryArtifacts(), MemoryAliases(), MemoryState(), MemoryLog(),
        SteppingClock(), FixedClock(_EPOCH), MemoryClaims(),
        MemoryExecutions(), MemoryWaiting(),
    )  # fmt: skip
