from dataclasses import replace

import pytest

from noria.promotion.gate import decide_promotion, gates_in_force
from noria.records.evaluation import (
    CalibrationCheck,
    ClassShare,
    Comparison,
    DecisionCheck,
    Evaluation,
    SliceComparison,
)
from tests.support.specs import quick_tickets
from tests.support.worlds import changed


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


def _check(**changes):
    found = {"rule": "tuned", "n_rows": 200, "metric": "f1_weighted", "value": 0.9,
             "commonest_value": 0.5, "accuracy": 0.9, "commonest_accuracy": 0.6,
             "beyond": ()}  # fmt: skip
    return DecisionCheck(**{**found, **changes})


DEGENERATE = _check(rule="most_probable", beyond=(ClassShare("2", 0.83, 0.09),))
WORSE = SliceComparison("kind", "a secret cell", 50, -0.3, -0.4, -0.2)
EQUAL = SliceComparison("kind", "other", 50, 0.0, -0.1, 0.1)


@pytest.mark.parametrize(
    ("changes", "outcome", "code"),
    [
        ({"decision": DEGENERATE}, "refuse_challenger", "decision"),
        ({"calibration": CalibrationCheck(0.151, 0.05)}, "refuse_challenger", "calibration"),
        ({"slices_against_champion": (EQUAL, WORSE)}, "keep_champion", "slices"),
        ({"new_columns": ("amount",)}, "keep_champion", "columns"),
    ],
)
def test_each_default_gate_refuses_by_name_and_is_switched_off_by_name(changes, outcome, code):
    """What is served is looked at, whatever the spec's own gates say."""
    decision = _decide(**changes)
    assert decision.outcome == outcome
    assert [reason.code for reason in decision.reasons if not reason.passed] == [code]
    assert "secret" not in decision.summary()
    spec = changed(quick_tickets(), ("promotion", "off"), (code,))
    assert decide_promotion(spec, _evaluation(**changes)).outcome == "promote"


@pytest.mark.parametrize(
    "found",
    [
        CalibrationCheck(0.10, 0.0),
        CalibrationCheck(0.30, 0.21),
        CalibrationCheck(0.30, 0.05, champion_error=0.40, challenger_error=0.30),
    ],
    ids=["at the bound", "by chance", "better than the champion"],
)
def test_a_calibration_error_that_is_chance_or_an_improvement_passes(found):
    """Few rows prove nothing, and a better model is not refused for being imperfect."""
    assert _decide(calibration=found).outcome == "promote"


def test_a_replaced_decision_is_told():
    """The run fell back to the most probable class, and says why."""
    decision = _decide(decision=_check(rule="most_probable"), replaced_decision=DEGENERATE)
    assert decision.outcome == "promote"
    assert "'2' is said of 83.0% of the rows and true of 9.0%" in decision.summary()


def test_the_gates_in_force_are_told_by_name():
    """A spec that names none has defaults."""
    lines = gates_in_force(quick_tickets())
    assert "f1_weighted at least 0.6" in lines
    assert any("not degenerate" in line for line in lines)
    assert any("calibration error at most 0.1" in line for line in lines)
    off = changed(quick_tickets(), ("promotion", "off"), ("decision", "calibration", "columns"))
    assert len(gates_in_force(off)) == len(lines) - 3


def test_the_first_champion_needs_no_comparison_but_every_absolute_rule():
    """No champion is not a free pass."""
    first = {"champion": None, "against_champion": None}
    assert _decide(**first).outcome == "promote"
    assert _decide(**first, metrics={"f1_weighted": 0.1}).outcome == "refuse_challenger"


def test_insufficient_data_is_said_as_such():
    """Never "no difference"."""
    decision = _decide(against_champion=None, n_unseen=3)
    assert "insufficient data: 3 test rows" in decision.summary()
