"""A promotion by evidence whose champion turns out to be worse is taken back, once."""

from datetime import timedelta

import pytest

from noria.errors import ModelCorruptError
from noria.records.codec import from_bytes
from noria.records.performance import PerformanceReport
from noria.records.retraining import RetrainingDecision
from noria.steps.end_probation import EndProbationRequest, end_probation
from noria.steps.promote_challenger import PromoteChallengerRequest, promote_challenger
from tests.support.checks import decided, new_file
from tests.support.fakes import FixedClock
from tests.support.production import START, Production, loan_rows

AT = START + timedelta(hours=1)


def _promoted(**rollout):
    """Return a project whose v2 has replaced v1 by evidence, and is on probation."""
    p = Production(rollout={"probation_hours": 48.0, **rollout})
    p.add_version("v2")
    request = PromoteChallengerRequest("loans", "run", "v2", 1, "better")
    p.result = promote_challenger(
        request, spec=p.spec, artifacts=p.store, aliases=p.aliases, clock=FixedClock(AT)
    )
    return p


def _answer(p, n=400, *, answer="no", hours=1):
    """Log what v2 and, unseen, v1 say, and the truth an hour later; return when to check."""
    at, rows = AT + timedelta(hours=hours), loan_rows(n, seed=78)
    ids = p.log(rows, at)
    p.log(rows, at, version="v2", answer=answer, ids=ids)
    p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5)], at + timedelta(hours=1))
    return at + timedelta(hours=2)


def _checked(p, at):
    _, performance, _ = decided(p, at)
    report = from_bytes(PerformanceReport, p.store.get(performance.performance_key))
    return performance.taking_back, report.probation


def _ended(p, champion="v2", previous="v1"):
    return end_probation(
        EndProbationRequest("loans", "check", champion, previous, "worse"),
        artifacts=p.store, aliases=p.aliases, clock=FixedClock(AT),
    )  # fmt: skip


def test_a_worse_champion_is_seen_and_the_one_before_serves_again():
    """The reason says who is held against whom, on how many rows, and how sure that is."""
    p = _promoted()
    said, probation = _checked(p, _answer(p))
    assert (probation.champion, probation.previous, probation.n_pairs) == ("v2", "v1", 400)
    assert probation.is_worse
    assert (said.champion, said.previous) == ("v2", "v1")
    assert said.reason.startswith("champion v2 is surely worse than v1, which answered the same")
    ended = _ended(p)
    record = p.aliases.read("loans")
    assert (ended.champion, ended.was_taken_back) == ("v1", True)
    assert (record.champion, record.rollout_mode) == ("v1", "off")
    assert p.aliases.history("loans")[0].kind == "rollback"


def test_the_risk_says_how_much_evidence_is_needed():
    """The same labels: enough for one in a hundred, too few for one in a billion billions."""
    p = _promoted(probation_risk=1e-18)
    said, probation = _checked(p, _answer(p))
    assert (said, probation.needed) == (None, pytest.approx(1e18))


def test_a_champion_that_answers_as_the_one_before_stays():
    """The evidence is there to read."""
    p = _promoted()
    said, probation = _checked(p, _answer(p, answer=None))
    assert said is None
    assert (probation.mean_difference, probation.evidence, probation.needed) == (0.0, 1.0, 100.0)


def test_whoever_tries_again_takes_back_once_and_hears_so():
    """An answer of the function may be lost."""
    p = _promoted()
    _ended(p)
    n_changes = len(p.aliases.history("loans"))
    assert _ended(p).was_taken_back
    assert len(p.aliases.history("loans")) == n_changes


def test_a_champion_that_has_changed_meanwhile_stays():
    """By a person: the check said nothing of it."""
    p = _promoted()
    p.add_version("v3")
    p.promote("v3", at=AT)
    ended = _ended(p)
    assert (ended.champion, ended.was_taken_back) == ("v3", False)


def test_of_two_checks_at_once_neither_brings_the_worse_one_back():
    """Each names who it judged: the second finds it done."""
    p = _promoted()
    assert [_ended(p).champion for _ in range(2)] == ["v1", "v1"]
    late = _ended(p, champion="v1", previous="v2")  # the other way round nothing was judged
    assert (late.champion, late.was_taken_back) == ("v1", False)
    assert p.aliases.read("loans").champion == "v1"


def test_a_promotion_by_hand_ends_the_probation():
    """Whoever says that it serves all the same is not overruled by what had been seen before."""
    p = _promoted()
    at = _answer(p)
    p.promote("v2", at=AT)
    assert _checked(p, at) == (None, None)
    assert not _ended(p).was_taken_back
    assert p.aliases.read("loans").champion == "v2"


def test_while_it_is_on_probation_the_project_trains_as_ever_and_not_about_one_that_goes():
    """A shadow of the champion before is no rollout."""
    p = _promoted()
    new_file(p)
    at = _answer(p, answer=None)
    _, _, decision = decided(p, at, forced=True)
    assert "rollout_running" not in {reason.code for reason in _decision(p, decision).against}
    q = _promoted()
    new_file(q)
    against = {reason.code for reason in _decision(q, decided(q, _answer(q))[2]).against}
    assert "taken_back" in against


def _decision(p, decision):
    return from_bytes(RetrainingDecision, p.store.get(decision.retraining_key))


def test_a_champion_before_that_is_not_whole_does_not_serve_again():
    """The one that is worse answers at least."""
    p = _promoted()
    key = next(k for k in p.store.objects if k.startswith("models/loans/v1/") and "bundle" in k)
    p.store.objects[key] = b"broken"
    with pytest.raises(ModelCorruptError):
        _ended(p)
    assert p.aliases.read("loans").champion == "v2"


def test_labels_are_waited_for_after_its_end_and_then_it_is_over():
    """Of answers that were given during the probation."""
    p = _promoted(probation_hours=2.0)
    _answer(p)
    late = timedelta(hours=2 + p.spec.monitoring.label_hours)
    assert _checked(p, AT + late)[1].n_pairs == 400
    assert _checked(p, AT + late + timedelta(hours=1)) == (None, None)


def test_there_is_none_without_hours_or_a_champion_before():
    """The first champion has nothing to be held against."""
    assert _checked(Production(rollout={"probation_hours": 24.0}), AT) == (None, None)
    p = _promoted(probation_hours=0.0)
    assert p.aliases.read("loans").rollout_mode == "off"
    assert _checked(p, AT + timedelta(hours=1)) == (None, None)
