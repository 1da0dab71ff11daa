"""What the domain needs from the outside, as protocols of at most four methods.

Adapters live in `noria_aws`, in-memory fakes in `tests/support`; both pass the same contract tests.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from noria.aliases import AliasRecord, HistoryEntry, Promotion


class ArtifactStore(Protocol):
    """Immutable-friendly object store; keys are relative to one bucket."""

    def get(self, key: str) -> bytes:
        """Return the object's bytes; KeyError when there is none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Return the object as a binary stream for one pass; KeyError when there is none."""
        ...

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        """Write the object; with `if_absent`, return False and change nothing if it exists."""
        ...

    def exists(self, key: str) -> bool:
        """Return whether the key holds an object."""
        ...


class ModelAliases(Protocol):
    """The movable pointers of each project, with their history."""

    def read(self, project: str) -> AliasRecord:
        """Return the current record; a project never promoted has revision 0 and no champion."""
        ...

    def promote(self, promotion: Promotion) -> AliasRecord:
        """Move the champion in one transaction; the same promotion id twice is one promotion.

        Raises AliasConflictError when the record's revision is not the expected one.
        """
        ...

    def history(self, project: str, *, limit: int = 20) -> Sequence[HistoryEntry]:
        """Return the promotions of a project, newest first."""
        ...


class PredictionLog(Protocol):
    """Where answered predictions go."""

    def append(self, project: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Hand the records over; StoreUnavailableError when they were not accepted."""
        ...


class MetricSink(Protocol):
    """A tracking server of the user's choice."""

    def log_candidate(
        self,
        name: str,
        facts: Mapping[str, Any],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        files: Mapping[str, bytes],
    ) -> None:
        """Record one candidate of a run; StoreUnavailableError when the server does not answer."""
        ...


class Clock(Protocol):
    """The only source of time, so that steps are repeatable in tests."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware, UTC."""
        ...
