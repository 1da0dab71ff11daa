"""What the domain needs from the outside, as protocols of at most four methods.

Adapters live in `noria_aws`, in-memory fakes in `tests/support`; both pass the same contract tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, Protocol

from noria.records.alias import AliasChange, AliasRecord, HistoryEntry
from noria.records.prediction import PredictionRecord

MachineName = Literal["Training", "Monitoring", "Batch"]
Message = Mapping[str, Any]  # a machine's input or output

if TYPE_CHECKING:  # predict imports the ports, sends no alerts, keeps no state and trains nothing
    from noria.records.access import AccessKey
    from noria.records.alert import Alert
    from noria.records.audit import AuditEntry
    from noria.records.state import StateRecord
    from noria.records.training import Params


class OpenedFiles(Protocol):
    """Where files are read."""

    def open(self, key: str) -> BinaryIO:
        """Return the object as a binary stream for one pass; KeyError when there is none."""
        ...


class ArtifactStore(OpenedFiles, Protocol):
    """Immutable-friendly object store; keys are relative to one bucket."""

    def get(self, key: str) -> bytes:
        """Return the object's bytes; KeyError when there is none."""
        ...

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        """Write the object; with `if_absent`, return False and change nothing if it exists."""
        ...

    def exists(self, key: str) -> bool:
        """Return whether the key holds an object."""
        ...


class StoredObject(NamedTuple):
    """One object of the store, without its content."""

    key: str
    n_bytes: int
    modified_at: datetime


class ArtifactIndex(Protocol):
    """What lies in the object store."""

    def under(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys start with a prefix, in order of key."""
        ...


class SearchableStore(ArtifactStore, ArtifactIndex, Protocol):
    """The store of steps that also list objects."""


class FileStore(SearchableStore, Protocol):
    """The store of steps that write files larger than memory."""

    def put_stream(self, key: str, stream: BinaryIO) -> None:
        """Write all that is left of a binary stream as one object, visible once it is whole."""
        ...


class LinkedStore(Protocol):
    """The store of the API: what others upload and download goes past it."""

    def get(self, key: str) -> bytes:
        """Return the object's bytes; KeyError when there is none."""
        ...

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        """Write the object; with `if_absent`, return False and change nothing if it exists."""
        ...

    def exists(self, key: str) -> bool:
        """Return whether the key holds an object."""
        ...

    def link(self, method: str, key: str, seconds: int) -> str:
        """Return an address that may be used with "GET" or "PUT" by whoever has it, for a time."""
        ...

    def count(self, prefix: str) -> int:
        """Return how many objects lie under a prefix."""
        ...


class ModelAliases(Protocol):
    """The movable pointers of each project, with their history."""

    def read(self, project: str) -> AliasRecord:
        """Return the current record; a project never promoted has revision 0 and no champion."""
        ...

    def apply(self, change: AliasChange) -> AliasRecord:
        """Promote or roll out in one transaction; the same promotion id twice is one change.

        Raises AliasConflictError when the record's revision is not the expected one.
        """
        ...

    def history(self, project: str, *, limit: int = 20) -> Sequence[HistoryEntry]:
        """Return the changes of a project, newest first."""
        ...


class ProjectState(Protocol):
    """Small records of a project that change, each written only by whoever read its last state."""

    def read(self, project: str, name: str) -> "StateRecord":
        """Return a record with its revision, read consistently."""
        ...

    def write(self, project: str, name: str, body: bytes, *, expected_revision: int) -> bool:
        """Write a record; return False and change nothing at any other revision."""
        ...


class PredictionLog(Protocol):
    """Where answered predictions go."""

    def append(self, project: str, records: Sequence[PredictionRecord]) -> None:
        """Hand the records over; StoreUnavailableError when they were not accepted."""
        ...


class MetricSink(Protocol):
    """A tracking server of the user's choice."""

    def log_candidate(
        self,
        name: str,
        facts: Mapping[str, Any],
        params: "Params",
        metrics: Mapping[str, float],
        files: Mapping[str, bytes],
    ) -> None:
        """Record one candidate of a run; StoreUnavailableError when the server does not answer."""
        ...


class PackageRegistry(Protocol):
    """Another registry of the user's choice, where people look at versions and approve them."""

    def mirror(
        self, project: str, model_version: str, status: str, properties: Mapping[str, str]
    ) -> None:
        """Add a model version; SettingsError or StoreUnavailableError when it cannot be."""
        ...

    def model_version_of(self, package: str) -> tuple[str, str]:
        """Return (project, model version); KeyError when the package is none of Noria's."""
        ...

    def status_of(self, project: str, model_version: str) -> str | None:
        """Return the newest package's status of a version; None where there is none."""
        ...


class WaitingExecutions(Protocol):
    """Executions that wait for an approval."""

    def answer(self, token: str, *, is_approved: bool, by: str) -> bool:
        """Approve or reject; False when the execution no longer waits."""
        ...


class Execution(NamedTuple):
    """How an execution of a state machine stands."""

    project: str | None  # that its input names
    status: Literal["running", "succeeded", "failed", "timed_out", "stopped"]
    started_at: datetime
    output: Message  # of one that succeeded
    error: str | None  # the kind of error of one that did not
    state: str | None  # that it entered last


class Executions(Protocol):
    """The state machines that the API starts, by their names."""

    def start(self, machine: MachineName, name: str, message: Message) -> bool:
        """Start an execution; False where one of that name is there already."""
        ...

    def read(self, machine: MachineName, name: str) -> Execution | None:
        """Return how an execution stands; None where there is none of that name."""
        ...


class Claims(Protocol):
    """Locks that let exactly one process do a thing once. Keys belong to a project."""

    def claim(
        self, project: str, key: str, owner: str, at: datetime, lease_seconds: float
    ) -> Literal["won", "held", "done"]:
        """Take a key: "done" once finished, "held" by another owner until its lease ends."""
        ...

    def finish(self, project: str, key: str, owner: str) -> None:
        """Mark a claimed key as done; what another owner has taken meanwhile stays theirs."""
        ...

    def release(self, project: str, key: str) -> bool:
        """Forget a key; return whether there was one."""
        ...

    def count(self, project: str, key: str, unit: str, at: datetime) -> int:
        """Count a unit under a key, the same unit once; return how many there are."""
        ...


class AccessKeys(Protocol):
    """The keys of the API, by the digests of their values."""

    def find(self, digest: str) -> "AccessKey | None":
        """Return a key; None where there is none."""
        ...

    def all(self) -> Sequence["AccessKey"]:
        """Return every key, newest first; those that open nothing any more too."""
        ...

    def add(self, key: "AccessKey") -> None:
        """File a new key."""
        ...

    def end(self, digest: str, field: Literal["expires_at", "revoked_at"], at: str) -> None:
        """Say when a key ends, or ended; KeyNotFoundError where it is gone."""
        ...


class KeyLookup(Protocol):
    """The keys of the API, for the authorizer."""

    def find(self, digest: str) -> "AccessKey | None":
        """Return a key; None where there is none."""
        ...

    def note_use(self, digest: str, day: str) -> None:
        """Note the last day that a key was used on; what is gone stays gone."""
        ...


class RequestCounts(Protocol):
    """Counters of requests."""

    def take(self, key_id: str, bucket: str, n: int, most: int, at: datetime) -> bool:
        """Count `n` more, unless that makes more than `most`; then count none, and say False."""
        ...


class AuditLog(Protocol):
    """What admins did: entries are added, never changed."""

    def last(self) -> "AuditEntry | None":
        """Return the newest entry, read consistently; None of an empty log."""
        ...

    def append(self, entry: "AuditEntry") -> bool:
        """File an entry; False where its number is taken."""
        ...

    def before(self, number: int | None, limit: int) -> Sequence["AuditEntry"]:
        """Return entries below a number, newest first; None for the newest of all."""
        ...


class AlertTopic(Protocol):
    """Where alerts are published."""

    def publish(self, alert: "Alert") -> None:
        """Hand an alert over; StoreUnavailableError when it was not accepted."""
        ...


class Webhooks(Protocol):
    """The chat services of a project."""

    def send(self, project: str, channel: str, message: Mapping[str, Any]) -> None:
        """Send a message; StoreUnavailableError when the service did not take it."""
        ...


class Clock(Protocol):
    """The only source of time, so that steps are repeatable in tests."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware, UTC."""
        ...
