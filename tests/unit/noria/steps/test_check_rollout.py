"""Whether a rollout step passes, waits or is breached."""

import pytest

from tests.support.production import loan_rows
from tests.support.rollouts import AT, advance, check_step


def test_few_requests_wait_and_then_take_the_challenger_back(p):
    """Without a comparison there is no promotion."""
    advance(p, 0, 1)
    p.log(loan_rows(10), AT, version="v2")
    assert check_step(p).verdict == "wait"
    last = check_step(p, n_waits=2)
    assert last.verdict == "breach"
    assert "noria promote loans v2" in last.summary


def _traffic(p, n=120, **challenger):
    advance(p, 0, 1)
    rows = loan_rows(n, seed=8)
    ids = p.log(rows, AT)
    other = p.log(rows, AT, version="v2", **challenger)
    return rows, ids, other


def test_a_challenger_that_behaves_passes(p):
    """Same rows, same answers."""
    _traffic(p)
    assert check_step(p).verdict == "pass"


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
    found = check_step(p)
    assert found.verdict == "breach"
    assert said in found.summary


def test_a_slow_challenger_below_the_bound_is_no_breach(p):
    """Three times of nothing is nothing."""
    _traffic(p, latency_ms=50.0)
    assert check_step(p).verdict == "pass"


def test_two_failures_are_not_yet_a_reason(p):
    """One may be anything; a share needs numbers."""
    _traffic(p)
    p.log(loan_rows(2, seed=9), AT, version="v2", failed=True)
    assert check_step(p).verdict == "pass"


def test_surely_worse_answers_on_labels_are_a_breach(p):
    """When labels come in time, quality counts."""
    rows, ids, other = _traffic(p, n=300)
    truth = ["yes" if t else "no" for t in p.truth(rows, seed=4)]
    wrong = ["no" if t == "yes" else "yes" for t in truth]
    p.label(ids, truth, AT)
    p.label(other, wrong, AT)
    found = check_step(p)
    assert found.verdict == "breach"
    assert "accuracy" in found.summary
