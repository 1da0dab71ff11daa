from dataclasses import replace

import pytest

from noria.promotion.gate import decide_promotion
from noria.records.evaluation import Comparison, Evaluation
from tests.support.specs import quick_tickets


def _comparison(improvement=0.05, low=0.01):
    return Comparison("f1_weighted", 0.9, 0.9 - improvement, improvement, low, 0.1, 0.95, 200)


def _evaluation(**changes):
    evaluation = Evaluation(
        project="quick",
        dataset_version="d",
        challenger_sha256="s",
        n_test=200,
        metrics={"f1_weighted": 0.9, "accuracy": 0.9},
        against_baseline=_comparison(0.5, 0.4),
        slices=(),
        business_value=None,
        alias_revision=1,
        champion="v1",
        n_unseen=200,
        against_champion=_comparison(),
    )
    return replace(evaluation, **changes)


def _decide(**changes):
    return decide_promotion(quick_tickets(), _evaluation(**changes))


def test_evidence_promotes_and_every_rule_is_reported():
    """A decision is readable later."""
    decision = _decide()
    assert decision.outcome == "promote"
    assert all(reason.passed for reason in decision.reasons)
    assert {r.code for r in decision.reasons} == {
        "enough_test_rows", "f1_weighted_min", "beats_baseline", "improves_enough",
        "improves_surely",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "outcome", "code"),
    [
        ({"n_test": 30}, "promote", None),
        ({"n_test": 29}, "refuse_challenger", "enough_test_rows"),
        ({"metrics": {"f1_weighted": 0.6}}, "promote", None),
        ({"metrics": {"f1_weighted": 0.5999}}, "refuse_challenger", "f1_weighted_min"),
        ({"against_baseline": _comparison(0.1, 0.0)}, "refuse_challenger", "beats_baseline"),
        ({"against_champion": _comparison(0.0101, 0.001)}, "promote", None),
        ({"against_champion": _comparison(0.01, 0.001)}, "keep_champion", "improves_enough"),
        ({"against_champion": _comparison(0.05, 0.0)}, "keep_champion", "improves_surely"),
        ({"against_champion": None, "n_unseen": 3}, "keep_champion", "comparable"),
    ],
)
def test_each_rule_on_each_side_of_its_bound(changes, outcome, code):
    """And missing evidence refuses."""
    decision = _decide(**changes)
    assert decision.outcome == outcome
    failed = [reason.code for reason in decision.reasons if not reason.passed]
    assert failed == ([code] if code else [])


def test_the_first_champion_needs_no_comparison_but_every_absolute_rule():
    """No champion is not a free pass."""
    first = {"champion": None, "against_champion": None}
    assert _decide(**first).outcome == "promote"
    assert _decide(**first, metrics={"f1_weighted": 0.1}).outcome == "refuse_challenger"


def test_insufficient_data_is_said_as_such():
    """Never "no difference"."""
    decision = _decide(against_champion=None, n_unseen=3)
    assert "insufficient data: 3 test rows" in decision.summary()
