"""Quality of the champion, with and without labels."""

from datetime import timedelta

from tests.support.checks import decided, new_file
from tests.support.production import START, Production, loan_rows


def test_performance_is_measured_on_labels_and_estimated_without():
    """Labels that come in time, of this champion's answers."""
    p = Production()
    rows = loan_rows(400, seed=77)
    ids = p.log(rows, START + timedelta(minutes=5))
    at = START + timedelta(hours=30)
    p.label(ids[:200], ["yes" if t else "no" for t in p.truth(rows[:200], seed=5)], at)
    # The rows are older than the window of answers: only labels tell of them.
    p.hours(10, start=START + timedelta(hours=20))
    _, performance, _ = decided(p, at + timedelta(hours=1))
    assert performance.n_labels == 200
    assert performance.verdict == "good"
    assert performance.estimated_verdict == "good"


def test_a_changed_relation_is_seen_on_labels_only():
    """Concept drift: the inputs look as ever, the answers are wrong."""
    p = Production()
    rows = loan_rows(300, seed=78)
    at = START + timedelta(hours=2)
    ids = p.log(rows, START + timedelta(minutes=5))
    p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5, flip=True)], at)
    new_file(p)
    drift, performance, decision = decided(p, at + timedelta(minutes=30))
    assert drift.verdict == "stable"
    assert (performance.verdict, performance.estimated_verdict) == ("degraded", "good")
    assert decision.retrain
    assert decision.codes == ("performance",)


def test_too_few_labels_are_insufficient():
    """49 are not 50."""
    p = Production()
    ids = p.log(loan_rows(60), START)
    p.label(ids[:49], ["no"] * 49, START + timedelta(hours=1))
    _, performance, _ = decided(p, START + timedelta(hours=2))
    assert performance.verdict == "insufficient_data"
