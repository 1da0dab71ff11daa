"""Each part of `make fuzz` with few cases, and beside it a broken variant that it catches."""

import zlib
from contextlib import nullcontext

import pytest

from noria.errors import AliasConflictError
from noria.inference.predictor import Predictor
from noria.inference.scoring.kernel import KernelScorer
from noria.inference.scoring.trees import TreeScorer
from noria.records.alias import apply_change
from noria.steps.revert_rollout import RevertRolloutResult
from noria_aws.handlers import http_api
from tests.fuzz import bundles, events, files, schedules
from tests.support.fakes import MemoryAliases


def test_no_event_is_answered_with_an_error_of_the_servers():
    """Rows, labels, jobs, forged events; on all routes and four models."""
    tally = events.run(1200, 1)
    assert tally.n == 1200
    assert len(tally.by_route) > 10
    assert {200, 400, 401, 404, 422} <= set(tally.by_status)
    assert tally.n_documented > 700


def test_a_handler_that_trusts_its_event_is_caught(monkeypatch):
    """The control: what should be a text may be anything."""
    monkeypatch.setattr(http_api, "_text", lambda data, name: data.get(name))
    monkeypatch.setattr(http_api, "_part", lambda data, name: data.get(name) or {})
    with pytest.raises((AssertionError, AttributeError)):  # a 500, or not even that
        events.run(1200, 1)


def test_no_corrupt_bundle_crashes_or_hangs_predict():
    """The hashes are right; it is refused, or it answers."""
    tally = bundles.run(60, 1)
    assert tally.n == 60
    assert min(tally.n_refused, tally.n_served, tally.n_not_promoted) > 10
    assert tally.n_refused == tally.n_not_promoted  # what a promotion takes also serves


def test_a_loader_that_looks_at_nothing_is_caught(monkeypatch):
    """The control: tables as they are, no trial answer."""
    for kind in (TreeScorer, KernelScorer):
        monkeypatch.setattr(kind, "check", lambda self, width: None)
    monkeypatch.setattr(Predictor, "_try", lambda self, bundle: None)
    monkeypatch.setattr("noria.inference.predictor._is_shown", lambda why: True)
    monkeypatch.setattr("noria.api.predictions.NoriaError", Exception)  # no spare model either
    with pytest.raises((AssertionError, bundles.HangError)):
        bundles.run(120, 2)


def test_every_hostile_file_ends_with_answers_or_reasons():
    """CSV, JSON lines, Parquet and archives, through plan, parts and close."""
    tally = files.run(80, 1)
    assert tally.n == 80
    assert min(tally.outcomes["BatchCompleted"], tally.outcomes["BatchRejected"]) > 10


def test_a_reader_that_lets_faults_of_archives_through_is_caught(monkeypatch):
    """The control."""
    monkeypatch.setattr("noria.batch.parts.readable", lambda filename: nullcontext())
    monkeypatch.setattr("noria.data.parsing.readable", lambda filename: nullcontext())
    with pytest.raises((EOFError, OSError, zlib.error)):
        files.run(200, 1)


def test_the_registry_holds_under_any_schedule():
    """Deaths, lost answers, doubled tasks and late ones, all of which happen."""
    tally = schedules.run(1500, 1)
    assert tally.n == 1500
    assert min(tally.faults.values()) > 10
    assert min(tally.ends.values()) > 10
    assert set(tally.changes) == {"training", "manual", "rollback", "shadow", "canary", "reverted"}


class _Unconditional(MemoryAliases):
    def apply(self, change):
        record = self.read(change.project)
        if any(e.promotion_id == change.promotion_id for e in self.history(change.project)):
            return record
        return super().apply(change._replace(expected_revision=record.revision))


class _Forgetful(MemoryAliases):
    def apply(self, change):
        record = self.read(change.project)
        if record.revision != change.expected_revision:
            raise AliasConflictError("moved")
        after, entry = apply_change(record, change)
        self._records[change.project] = after
        self._history[change.project].append(entry)
        return after


@pytest.mark.parametrize("broken", [_Unconditional, _Forgetful])
def test_a_registry_without_conditions_or_memory_is_caught(broken):
    """The controls: a write on any revision, and a change that may be written twice."""
    with pytest.raises(AssertionError, match=r"schedule \d+ of seed 1"):
        schedules.run(1500, 1, broken)


def test_a_revert_that_leaves_the_revision_alone_is_caught(monkeypatch):
    """The control: a step that commits late leaves a challenger that nobody watches."""

    def revert(request, *, aliases, clock):
        record = aliases.read(request.project)
        return RevertRolloutResult(record.champion, was_reverted=False)

    monkeypatch.setattr(schedules, "revert_rollout", revert)
    with pytest.raises(AssertionError, match="watched by nobody"):
        schedules.run(1500, 1)
