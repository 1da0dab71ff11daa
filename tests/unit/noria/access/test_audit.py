import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from noria.access.audit import Act, Auditor, chain, faults_of
from noria.errors import AliasConflictError, StoreUnavailableError
from noria.records.alias import Promotion
from noria.records.audit import Serving
from tests.support.access import MemoryAuditLog
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock

ACT = Act("key k (an admin)", "promote", "tickets", {"model_version": "v2"})


def _auditor(log, aliases=None, told=None, copies=None):
    told = [] if told is None else told
    copies = MemoryArtifacts() if copies is None else copies
    return Auditor(
        log, copies, aliases or MemoryAliases(), SteppingClock(), lambda *event: told.append(event)
    )


def _promote(aliases, version, revision):
    aliases.apply(
        Promotion(
            "tickets", f"p{revision}", version, revision, "manual", "r", "a", "2026-01-01", None
        )
    )


def test_an_action_is_written_down_before_and_after():
    """Who, what, and which champion served before and after."""
    log, aliases, told, copies = MemoryAuditLog(), MemoryAliases(), [], MemoryArtifacts()
    _promote(aliases, "v1", 0)
    _auditor(log, aliases, told, copies).audited(ACT, lambda: _promote(aliases, "v2", 1))
    asked, done = log.entries
    assert (asked.number, asked.outcome, asked.before, asked.after) == (
        1, "asked", Serving("v1", 1), None,
    )  # fmt: skip
    assert (done.number, done.outcome, done.asked_in) == (2, "done", 1)
    assert (done.before, done.after) == (Serving("v1", 1), Serving("v2", 2))
    assert (done.actor, json.loads(done.request)) == (ACT.actor, {"model_version": "v2"})
    assert told == [("audit_entry", {"number": e.number, "hash": e.hash}) for e in log.entries]
    assert faults_of(log.entries, copies) == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(AliasConflictError("x"), "refused"), (StoreUnavailableError("x"), "failed"),
     (ZeroDivisionError("a cell"), "failed")],
)  # fmt: skip
def test_what_did_not_happen_is_written_down_with_the_kind_of_error(error, outcome):
    """And raised; its text is not kept."""
    log = MemoryAuditLog()

    def fail():
        raise error

    with pytest.raises(type(error)):
        _auditor(log).audited(ACT, fail)
    assert (log.entries[1].outcome, log.entries[1].error) == (outcome, type(error).__name__)
    assert "a cell" not in repr(log.entries)


class _Broken(MemoryAuditLog):
    """Takes a number of entries, and no more."""

    def __init__(self, n_left):
        super().__init__()
        self.n_left = n_left

    def append(self, entry):
        if not self.n_left:
            raise StoreUnavailableError("gone")
        self.n_left -= 1
        return super().append(entry)


def test_what_cannot_be_written_down_is_not_done():
    """Fail closed."""
    done = []
    with pytest.raises(StoreUnavailableError):
        _auditor(_Broken(0)).audited(ACT, lambda: done.append(1))
    assert done == []


def test_an_outcome_that_cannot_be_written_down_does_not_undo_what_was_done():
    """The first entry stays without one; the function's log says so."""
    log, told = _Broken(1), []
    assert _auditor(log, told=told).audited(ACT, lambda: "answer") == "answer"
    assert [entry.outcome for entry in log.entries] == ["asked"]
    assert told[-1] == ("audit_incomplete", {"number": 1, "outcome": "done"})


def test_a_long_request_is_cut_and_keeps_its_hash():
    """An entry stays small."""
    log = MemoryAuditLog()
    _auditor(log).audited(ACT._replace(request={"files": ["x" * 100] * 1000}), lambda: None)
    assert len(log.entries[0].request) < 2000
    assert set(json.loads(log.entries[0].request)) == {"begins", "sha256"}


def _whole(n=6):
    """Return the entries of a log, and the copies of their hashes."""
    log, copies = MemoryAuditLog(), MemoryArtifacts()
    auditor = _auditor(log, copies=copies)
    for _ in range(n):
        auditor.audited(ACT, lambda: None)
    assert faults_of(log.entries, copies) == []
    return log.entries, copies


@pytest.mark.parametrize("place", range(12))
def test_each_changed_or_missing_entry_is_found(place):
    """Every field of every entry, every gap, the end too."""
    entries, copies = _whole()
    n_tried = 0
    for field in ("at", "actor", "operation", "project", "request", "error", "outcome", "previous"):
        forged = [*entries]
        forged[place] = replace(forged[place], **{field: "forged"})
        assert faults_of(forged, copies), field
        n_tried += 1
    without = entries[:place] + entries[place + 1 :]
    assert faults_of(without, copies)
    swapped = [*entries]
    swapped[place], swapped[place - 1] = swapped[place - 1], swapped[place]
    assert faults_of(swapped, copies)
    assert n_tried == 8


def test_an_entry_that_is_forged_with_a_hash_of_its_own_breaks_the_chain():
    """The next entry names another one."""
    entries, copies = _whole()
    entries[3] = chain(entries[2], replace(entries[3], actor="somebody else"))
    assert faults_of(entries, copies) == [
        "entry 4 is not the one that was written first",
        "entry 5 does not follow the one before it",
    ]


def test_a_log_that_is_written_anew_from_some_entry_on_is_found():
    """Its chain is whole: the copies of the hashes say it."""
    entries, copies = _whole()
    for place in range(3, 12):
        changed = replace(entries[place], actor="somebody else")
        entries[place] = chain(entries[place - 1], changed)
    faults = faults_of(entries, copies)
    assert faults == [f"entry {n} is not the one that was written first" for n in range(4, 13)]
    assert faults_of(entries, MemoryArtifacts())  # nor does it help to have no copies


def test_whoever_was_interrupted_before_the_copy_is_made_up_for():
    """By the next entry; until then the newest may lack it."""
    log, copies = MemoryAuditLog(), MemoryArtifacts()
    _auditor(log, copies=copies).audited(ACT, lambda: None)
    del copies.objects["audit/000000000002"]
    assert faults_of(log.entries, copies) == []
    _auditor(log, copies=copies).audited(ACT, lambda: None)
    assert len(copies.objects) == 4
    assert faults_of(log.entries, copies) == []


def test_many_at_once_make_one_chain():
    """Eight writers of twenty entries: no number twice, none missing."""
    log, copies = MemoryAuditLog(), MemoryArtifacts()
    auditor = _auditor(log, copies=copies)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: auditor.audited(ACT, lambda: None), range(80)))
    assert [entry.number for entry in log.entries] == list(range(1, 161))
    assert faults_of(log.entries, copies) == []


class _Taken(MemoryAuditLog):
    """Another writer is faster a number of times."""

    def __init__(self, n_times):
        super().__init__()
        self.n_left = n_times

    def append(self, entry):
        if self.n_left:
            self.n_left -= 1
            return False
        return super().append(entry)


@pytest.mark.parametrize(("n_times", "is_done"), [(0, True), (39, True), (40, False)])
def test_a_writer_that_others_are_faster_than_waits_and_tries_again(n_times, is_done):
    """Each time longer at most; in the end it says so, and nothing was done."""
    waited, done = [], []
    auditor = Auditor(
        _Taken(n_times), MemoryArtifacts(), MemoryAliases(), SteppingClock(), lambda *_: None,
        waited.append,
    )  # fmt: skip
    try:
        auditor.audited(ACT, lambda: done.append(1))
    except StoreUnavailableError:
        assert not is_done
    assert bool(done) == is_done
    assert len(waited) == n_times
    assert all(0 <= pause <= 0.5 for pause in waited)
