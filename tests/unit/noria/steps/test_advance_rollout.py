"""Rollout steps forward, one by one; every death on the way."""

from copy import copy
from datetime import timedelta

import pytest

from noria.errors import AliasConflictError, ModelVersionNotFoundError
from noria.steps.promote_challenger import PromoteChallengerRequest, promote_challenger
from tests.support.fakes import FixedClock, MemoryAliases
from tests.support.killing import State, cuts_of, faults_after
from tests.support.rollouts import AT, advance, check_step, revert_rollout_of


def test_steps_are_written_one_by_one_and_end(p):
    """Shadow, canary, finished; each is a row of the history."""
    one = advance(p, 0, 1)
    assert (one.shown, one.bake_seconds, one.is_finished) == ("shadow of 100%", 3600, False)
    two = advance(p, 1, one.revision)
    record = p.aliases.read("loans")
    assert (record.rollout_mode, record.rollout_fraction) == ("canary", 0.25)
    assert (record.champion, record.challenger) == ("v1", "v2")
    three = advance(p, 2, two.revision)
    assert three.is_finished
    assert [entry.kind for entry in p.aliases.history("loans")] == ["canary", "shadow", "manual"]


def test_a_step_that_is_retried_is_written_once(p):
    """A task may run twice."""
    first = advance(p, 0, 1)
    assert advance(p, 0, 1) == first
    assert p.aliases.read("loans").revision == 2


def test_a_challenger_that_is_not_whole_sees_no_request(p):
    """Before the first request, not at it."""
    with pytest.raises(ModelVersionNotFoundError):
        advance(p, 0, 1, "v9")


def test_another_promotion_ends_the_rollout(p):
    """A rollback by hand wins; the rollout stops and undoes nothing of it."""
    revision = advance(p, 0, 1).revision
    p.promote("v1", at=AT)
    with pytest.raises(AliasConflictError):
        advance(p, 1, revision)
    with pytest.raises(AliasConflictError):
        check_step(p)
    assert not revert_rollout_of(p).was_reverted
    assert p.aliases.read("loans").champion == "v1"


def _rolled_out(p):
    """Return the rollout as Step Functions runs it: from the step that has no history row yet."""

    def run(state):
        q = copy(p)
        q.store, q.aliases = state.artifacts, state.aliases
        done = len(q.aliases.history("loans")) - 1
        revision = q.aliases.read("loans").revision
        for step in range(2):
            if done <= step:
                revision = advance(q, step, revision).revision
        promote_challenger(
            PromoteChallengerRequest("loans", "run", "v2", revision if done < 3 else 3, "r"),
            spec=q.spec, artifacts=q.store, aliases=q.aliases, clock=FixedClock(AT),
        )  # fmt: skip
        return True

    return run


def _rollout_holds(state, is_finished):
    record = state.aliases.read("loans")
    kinds = [entry.kind for entry in state.aliases.history("loans")]
    assert record.champion in ("v1", "v2")
    assert len(kinds) == record.revision
    if is_finished:
        assert (record.champion, record.revision) == ("v2", 4)
        assert kinds == ["training", "canary", "shadow", "manual"]


def test_a_rollout_that_dies_at_any_call_is_finished_by_a_second_start(p):
    """Nothing lost, nothing doubled, nothing half-visible; every death happens."""
    run = _rolled_out(p)
    cuts = cuts_of(State(p.store.copied(), p.aliases.copied()), run)
    assert cuts.writes == ["aliases.apply"] * 3
    assert len(cuts.states) == 4
    assert cuts.n == 2 * (3 + len(cuts.reads)) > 20
    assert not faults_after(cuts, run, _rollout_holds)


def test_a_promotion_whose_id_is_not_the_same_at_a_second_start_would_be_found(p, monkeypatch):
    """Control: right when nothing dies; started again after the promotion, it conflicts."""
    ids = iter(range(10_000))
    plain = MemoryAliases.apply

    def forgetful(self, change):
        return plain(self, change._replace(promotion_id=f"p{next(ids)}"))

    monkeypatch.setattr(MemoryAliases, "apply", forgetful)
    run = _rolled_out(p)
    cuts = cuts_of(State(p.store.copied(), p.aliases.copied()), run)
    assert list(faults_after(cuts, run, _rollout_holds)) == ["3 aliases.apply"]


def test_while_a_person_is_waited_for_the_challenger_answers_nothing(p):
    """No check runs then; it goes back to shadow."""
    rollout = p.spec.rollout.model_copy(update={"approval": "required"})
    p.spec = p.spec.model_copy(update={"rollout": rollout})
    revision = advance(p, 1, advance(p, 0, 1).revision).revision
    last = advance(p, 2, revision)
    assert (last.is_finished, last.needs_approval, last.revision) == (True, True, revision + 1)
    assert p.aliases.read("loans").rollout_mode == "shadow"


def test_a_rollout_that_is_not_ended_is_over_by_itself(p):
    """Its execution was stopped: no canary goes on unwatched, and training is free again."""
    advance(p, 1, 1)
    record = p.aliases.read("loans")
    # Half an hour and two waits of it, and an hour for what lies between.
    assert record.is_rolling_out(AT + timedelta(hours=2.4))
    assert not record.is_rolling_out(AT + timedelta(hours=2.6))
