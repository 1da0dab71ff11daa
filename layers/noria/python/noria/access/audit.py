"""The audit log of what admins do: asked first, then what came of it, in one chain of hashes.

An action that cannot be written down is not done. Its outcome is a second entry: where that is
missing, whoever did it was interrupted. The hash of each entry lies in the data bucket too, where
nothing can be overwritten: whoever writes the table anew, from whatever entry on, is found.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from noria.errors import NoriaError, StoreUnavailableError, TransientError
from noria.ports import ArtifactStore, AuditLog, Clock, ModelAliases
from noria.records.audit import AuditEntry, AuditOutcome, Serving
from noria.records.codec import encode
from noria.storage.hashing import canonical_json, sha256_hex
from noria.storage.keys import audit_key

_TRIES, _PAUSE_SECONDS, _LONGEST_SECONDS = 40, 0.01, 0.5  # of writers that get in each other's way
_MAX_REQUEST_CHARACTERS = 2000
GENESIS = ""


class Act(NamedTuple):
    """What somebody asks for."""

    actor: str
    operation: str
    project: str | None
    request: Mapping[str, object]


class Auditor:
    """Writes down what is asked for, lets it happen, and writes down what came of it.

    Parameters
    ----------
    report : callable
        Gets the name and facts of each event: `audit_entry` with an entry's number and hash.
    """

    def __init__(
        self,
        log: AuditLog,
        artifacts: ArtifactStore,
        aliases: ModelAliases,
        clock: Clock,
        report: Callable[[str, Mapping[str, object]], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._log, self._artifacts, self._aliases = log, artifacts, aliases
        self._clock, self._report, self._sleep = clock, report, sleep

    def audited[T](self, act: Act, do: Callable[[], T]) -> T:
        """Do it, between two entries.

        Raises
        ------
        StoreUnavailableError
            The first entry could not be written; nothing was done.
        """
        before = self._serving(act.project)
        asked = self._append(_entry(act, "asked", before=before))
        try:
            found = do()
        except Exception as error:
            is_refusal = isinstance(error, NoriaError) and not isinstance(error, TransientError)
            outcome: AuditOutcome = "refused" if is_refusal else "failed"
            self._finish(act, asked, outcome, before, type(error).__name__)
            raise
        self._finish(act, asked, "done", before, None)
        return found

    def _finish(
        self,
        act: Act,
        asked: AuditEntry,
        outcome: AuditOutcome,
        before: Serving | None,
        error: str | None,
    ) -> None:
        """Write down what came of it; it has happened, so a log that fails must not undo it."""
        try:
            entry = _entry(act, outcome, before=before, after=self._serving(act.project))
            self._append(replace(entry, asked_in=asked.number, error=error))
        except NoriaError:
            self._report("audit_incomplete", {"number": asked.number, "outcome": outcome})

    def _serving(self, project: str | None) -> Serving | None:
        if project is None:
            return None
        record = self._aliases.read(project)
        return Serving(record.champion, record.revision)

    def _append(self, entry: AuditEntry) -> AuditEntry:
        for attempt in range(_TRIES):
            last = self._log.last()
            if last is not None:  # whoever wrote it may have been interrupted
                self._copy_hash(last)
            chained = chain(last, replace(entry, at=self._clock.now().isoformat()))
            if self._log.append(chained):
                self._copy_hash(chained)
                self._report("audit_entry", {"number": chained.number, "hash": chained.hash})
                return chained
            # Another one was faster. Who waits for a random time does not meet it again.
            longest = min(_PAUSE_SECONDS * 2**attempt, _LONGEST_SECONDS)
            self._sleep(random.uniform(0.0, longest))
        raise StoreUnavailableError(f"the audit log took no entry in {_TRIES} tries; try again")

    def _copy_hash(self, entry: AuditEntry) -> None:
        self._artifacts.put(audit_key(entry.number), entry.hash.encode(), if_absent=True)


def chain(last: AuditEntry | None, entry: AuditEntry) -> AuditEntry:
    """Return an entry as the one after the last."""
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    linked = replace(entry, number=number, previous=previous)
    return replace(linked, hash=_hash(linked))


def faults_of(entries: Iterable[AuditEntry], artifacts: ArtifactStore) -> list[str]:
    """Return what is wrong with a whole log, oldest entry first: changed, missing or moved.

    Only the newest entry may lack the copy of its hash: the next one makes up for it.
    """
    faults, previous, expected = list[str](), GENESIS, 1
    listed = list(entries)
    for entry in listed:
        copied = _copied_hash(artifacts, entry.number)
        if copied is None and entry is not listed[-1]:
            faults.append(f"entry {entry.number} has no copy of its hash")
        elif copied not in (None, entry.hash):
            faults.append(f"entry {entry.number} is not the one that was written first")
        if entry.number != expected:
            faults.append(f"entries {expected} to {entry.number - 1} are missing")
        elif entry.previous != previous:
            faults.append(f"entry {entry.number} does not follow the one before it")
        if entry.hash != _hash(entry):
            faults.append(f"entry {entry.number} was changed")
        previous, expected = entry.hash, entry.number + 1
    if _copied_hash(artifacts, expected) is not None:
        faults.append(f"entries from {expected} on are missing")
    return faults


def _copied_hash(artifacts: ArtifactStore, number: int) -> str | None:
    try:
        return artifacts.get(audit_key(number)).decode()
    except KeyError:
        return None


def _hash(entry: AuditEntry) -> str:
    return sha256_hex(canonical_json(encode(replace(entry, hash=""))))


def _entry(
    act: Act, outcome: AuditOutcome, *, before: Serving | None, after: Serving | None = None
) -> AuditEntry:
    request = canonical_json(act.request).decode()
    if len(request) > _MAX_REQUEST_CHARACTERS:
        cut = request[: _MAX_REQUEST_CHARACTERS // 2]
        request = canonical_json({"sha256": sha256_hex(request.encode()), "begins": cut}).decode()
    return AuditEntry(
        number=0, at="", actor=act.actor, operation=act.operation, project=act.project,
        request=request, outcome=outcome, asked_in=None, before=before, after=after, error=None,
        previous="", hash="",
    )  # fmt: skip
