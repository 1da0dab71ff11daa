"""One line of the audit log: who asked for what, and what came of it."""

from dataclasses import dataclass
from typing import Literal

AuditOutcome = Literal["asked", "done", "refused", "failed"]


@dataclass(frozen=True)
class Serving:
    """Who serves a project, as far as an action may move it."""

    champion: str | None
    revision: int


@dataclass(frozen=True)
class AuditEntry:
    """An entry, chained to the one before it: none can be changed or left out unseen."""

    number: int  # 1, 2, 3, …
    at: str  # UTC, ISO 8601
    actor: str
    operation: str
    project: str | None
    request: str  # what was asked for, as JSON; the values of keys are never in it
    outcome: AuditOutcome
    asked_in: int | None  # the number of the entry that this one is the outcome of
    before: Serving | None
    after: Serving | None
    error: str | None  # the class of what went wrong
    previous: str  # the hash of the entry before it; empty of the first
    hash: str  # SHA-256 of all of the above as canonical JSON
