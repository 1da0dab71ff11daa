"""Rollout steps: forward, wait, back; and who else may move the aliases."""

from copy import copy
from datetime import timedelta

import pytest

from noria.errors import AliasConflictError, ModelVersionNotFoundError
from noria.spec.operations import RolloutStep
from noria.steps.advance_rollout import AdvanceRolloutRequest, advance_rollout
from noria.steps.check_rollout import CheckRolloutRequest, check_rollout
from noria.steps.promote_challenger import PromoteChallengerRequest, promote_challenger
from noria.steps.request_approval import RequestApprovalRequest, request_approval
from noria.steps.revert_rollout import RevertRolloutRequest, revert_rollout
from tests.support.fakes import FixedClock, MemoryAliases
from tests.support.killing import State, cuts_of, faults_after
from tests.support.production import START, Production, loan_rows

STEPS = (
    RolloutStep(mode="shadow", fraction=1.0, bake_minutes=60),
    RolloutStep(mode="canary", fraction=0.25, bake_minutes=30),
)
AT = START + timedelta(hours=5)


@pytest.fixture
def p():
    """A champion, and a registered challenger."""
    made = Production(rollout={"steps": STEPS, "min_rows": 40, "max_waits": 2})
    made.add_version("v2")
    return made


def _advance(p, step, revision, version="v2"):
    request = AdvanceRolloutRequest("loans", "run", version, step, revision)
    return advance_rollout(
        request, spec=p.spec, artifacts=p.store, aliases=p.aliases, clock=FixedClock(AT)
    )


def _check(p, n_waits=0, at=AT + timedelta(hours=1)):
    request = CheckRolloutRequest("loans", "v2", n_waits)
    return check_rollout(
        request, spec=p.spec, store=p.store, aliases=p.aliases, clock=FixedClock(at)
    )


def _revert(p, version="v2"):
    request = RevertRolloutRequest("loans", "run", version, "because")
    return revert_rollout(request, aliases=p.aliases, clock=FixedClock(AT))


def test_steps_are_written_one_by_one_and_end(p):
    """Shadow, canary, finished; each is a row of the history."""
    one = _advance(p, 0, 1)
    assert (one.shown, one.bake_seconds, one.is_finished) == ("shadow of 100%", 3600, False)
    two = _advance(p, 1, one.revision)
    record = p.aliases.read("loans")
    assert (record.rollout_mode, record.rollout_fraction) == ("canary", 0.25)
    assert (record.champion, record.challenger) == ("v1", "v2")
    three = _advance(p, 2, two.revision)
    assert three.is_finished
    assert [entry.kind for entry in p.aliases.history("loans")] == ["canary", "shadow", "manual"]


def test_a_step_that_is_retried_is_written_once(p):
    """A task may run twice."""
    first = _advance(p, 0, 1)
    assert _advance(p, 0, 1) == first
    assert p.aliases.read("loans").revision == 2


def test_a_challenger_that_is_not_whole_sees_no_request(p):
    """Before the first request, not at it."""
    with pytest.raises(ModelVersionNotFoundError):
        _advance(p, 0, 1, "v9")


def test_somebody_elses_promotion_ends_the_rollout(p):
    """A rollback by hand wins; the rollout stops and undoes nothing of it."""
    revision = _advance(p, 0, 1).revision
    p.promote("v1", at=AT)
    with pytest.raises(AliasConflictError):
        _advance(p, 1, revision)
    with pytest.raises(AliasConflictError):
        _check(p)
    assert not _revert(p).was_reverted
    assert p.aliases.read("loans").champion == "v1"


def test_few_requests_wait_and_then_take_the_challenger_back(p):
    """What nobody could compare is not promoted."""
    _advance(p, 0, 1)
    p.log(loan_rows(10), AT, version="v2")
    assert _check(p).verdict == "wait"
    last = _check(p, n_waits=2)
    assert last.verdict == "breach"
    assert "noria promote loans v2" in last.summary


def _traffic(p, n=120, **challenger):
    _advance(p, 0, 1)
    rows = loan_rows(n, seed=8)
    ids = p.log(rows, AT)
    other = p.log(rows, AT, version="v2", **challenger)
    return rows, ids, other


def test_a_challenger_that_behaves_passes(p):
    """Same rows, same answers."""
    _traffic(p)
    assert _check(p).verdict == "pass"


@pytest.mark.parametrize(
    ("challenger", "said"),
    [
        ({"failed": True}, "could not answer 100.0%"),
        ({"latency_ms": 900.0}, "95th percentile"),
        ({"answer": "yes"}, "'yes' to 100.0%"),
    ],
    ids=["errors", "slow", "one class"],
)
def test_a_challenger_that_misbehaves_is_a_breach(p, challenger, said):
    """Each in its own words."""
    _traffic(p, **challenger)
    found = _check(p)
    assert found.verdict == "breach"
    assert said in found.summary


def test_a_slow_challenger_below_the_bound_is_no_breach(p):
    """Three times of nothing is nothing."""
    _traffic(p, latency_ms=50.0)
    assert _check(p).verdict == "pass"


def test_two_failures_are_not_yet_a_reason(p):
    """One may be anything; a share needs numbers."""
    _traffic(p)
    p.log(loan_rows(2, seed=9), AT, version="v2", failed=True)
    assert _check(p).verdict == "pass"


def test_surely_worse_answers_on_labels_are_a_breach(p):
    """When labels come in time, quality counts."""
    rows, ids, other = _traffic(p, n=300)
    truth = ["yes" if t else "no" for t in p.truth(rows, seed=4)]
    wrong = ["no" if t == "yes" else "yes" for t in truth]
    p.label(ids, truth, AT)
    p.label(other, wrong, AT)
    found = _check(p)
    assert found.verdict == "breach"
    assert "accuracy" in found.summary


def test_a_reverted_challenger_sees_nothing_and_the_champion_stays(p):
    """One write; the second time there is nothing to do."""
    _advance(p, 0, 1)
    assert _revert(p).was_reverted
    record = p.aliases.read("loans")
    assert (record.champion, record.challenger, record.rollout_mode) == ("v1", None, "off")
    assert not _revert(p).was_reverted
    assert p.aliases.history("loans")[0].kind == "reverted"


def test_behind_the_last_step_the_challenger_is_promoted(p):
    """At the revision that the last step wrote."""
    revision = _advance(p, 1, _advance(p, 0, 1).revision).revision
    promote_challenger(
        PromoteChallengerRequest("loans", "run", "v2", revision, "r"),
        artifacts=p.store, aliases=p.aliases, clock=FixedClock(AT),
    )  # fmt: skip
    record = p.aliases.read("loans")
    assert (record.champion, record.previous_champion, record.rollout_mode) == ("v2", "v1", "off")


def test_an_approval_waits_with_its_token_and_its_end(p):
    """What `noria approve` needs."""
    found = request_approval(
        RequestApprovalRequest("loans", "run", "v2", "token", 3600),
        artifacts=p.store, clock=FixedClock(AT),
    )  # fmt: skip
    assert found.expires_at == (AT + timedelta(hours=1)).isoformat()
    assert b"token" in p.store.get("monitoring/loans/approval.json")


def _rolled_out(p):
    """Return the rollout as Step Functions runs it: from the step that has no history row yet."""

    def run(state):
        q = copy(p)
        q.store, q.aliases = state.artifacts, state.aliases
        done = len(q.aliases.history("loans")) - 1
        revision = q.aliases.read("loans").revision
        for step in range(2):
            if done <= step:
                revision = _advance(q, step, revision).revision
        promote_challenger(
            PromoteChallengerRequest("loans", "run", "v2", revision if done < 3 else 3, "r"),
            artifacts=q.store, aliases=q.aliases, clock=FixedClock(AT),
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


def test_an_alias_that_counts_a_change_twice_would_be_found(p, monkeypatch):
    """Control: the record is written, and its history row in another write."""
    plain = MemoryAliases.apply

    def in_two_writes(self, change):
        after = plain(self, change)
        self._history[change.project].pop()
        return after

    run = _rolled_out(p)
    state = State(p.store.copied(), p.aliases.copied())
    monkeypatch.setattr(MemoryAliases, "apply", in_two_writes)
    assert faults_after(cuts_of(state, lambda s: _advance_once(p, s)), run, _rollout_holds)


def _advance_once(p, state):
    q = copy(p)
    q.store, q.aliases = state.artifacts, state.aliases
    return _advance(q, 0, q.aliases.read("loans").revision)


def test_while_a_person_is_waited_for_the_challenger_answers_nothing(p):
    """Nobody watches then; it goes back to shadow."""
    rollout = p.spec.rollout.model_copy(update={"approval": "required"})
    p.spec = p.spec.model_copy(update={"rollout": rollout})
    revision = _advance(p, 1, _advance(p, 0, 1).revision).revision
    last = _advance(p, 2, revision)
    assert (last.is_finished, last.needs_approval, last.revision) == (True, True, revision + 1)
    assert p.aliases.read("loans").rollout_mode == "shadow"


def test_a_rollout_that_nobody_ends_is_over_by_itself(p):
    """Its execution was stopped: no canary goes on unwatched, and training is free again."""
    _advance(p, 1, 1)
    record = p.aliases.read("loans")
    # Half an hour and two waits of it, and an hour for what lies between.
    assert record.is_rolling_out(AT + timedelta(hours=2.4))
    assert not record.is_rolling_out(AT + timedelta(hours=2.6))
