import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.evaluation.decisions import decide
from noria.evaluation.metrics import measure
from noria.records.bundle import Decision
from noria.spec.model import DecisionSection
from noria.training.decisions import learned_decision, most_probable

TUNED = DecisionSection(rule="tuned")
YES = ["no", "yes"]


def _learned(section, metric, truth, shares, **more):
    classes = [str(n) for n in range(shares.shape[1])]
    return learned_decision(section, metric, truth, shares, **{"classes": classes, **more})


@given(st.integers(0, 1000))
def test_tuned_decisions_are_never_clearly_worse_on_the_rows_they_were_tuned_on(seed):
    """No correction is among the choices; a smaller one wins within a standard error."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=200, p=[0.8, 0.15, 0.05])
    shares = rng.dirichlet([4, 2, 1], 200)
    decision = _learned(TUNED, "f1_macro", truth, shares)
    plain = measure("f1_macro", truth, decide(shares, most_probable(3)))
    assert measure("f1_macro", truth, decide(shares, decision)) > plain - 0.06
    assert max(decision.weights) == 1.0


def test_a_correction_that_gains_less_than_a_standard_error_is_not_made():
    """Noise of a few rows was tuned to; many rows tell it from a gain."""
    rng = np.random.default_rng(4)

    def corrected(n):
        truth = (rng.random(n) < 0.25).astype(int)
        positive = np.clip(0.3 + 0.12 * truth + rng.normal(0, 0.12, n), 0.01, 0.99)
        shares = np.column_stack([1 - positive, positive])
        weights = _learned(TUNED, "f1_macro", truth, shares).weights
        return weights[0] / weights[1]

    assert corrected(20_000) < corrected(60) <= 1.0


def test_where_rows_have_a_time_the_newest_decide_the_correction():
    """Earlier months wanted another one."""
    truth = np.array([0, 1] * 500 + [0] * 450 + [1] * 50)
    positive = np.concatenate([np.tile([0.2, 0.45], 500), np.full(450, 0.45), np.full(50, 0.55)])
    shares = np.column_stack([1 - positive, positive])
    on_all = _learned(TUNED, "accuracy", truth[:1000], shares[:1000])
    newest = _learned(TUNED, "accuracy", truth, shares, newest=slice(1000, None))
    assert decide(shares[:1000], most_probable(2)).decided.mean() == 0.0
    assert newest == Decision((1.0, 1.0))
    assert on_all.weights[0] <= 1.0


def test_a_threshold_decides_for_the_positive_class_above_it():
    """Of two classes, the last is the positive one; at the threshold itself it wins."""
    rule = DecisionSection(rule="threshold", threshold=0.3)
    decision = _learned(rule, "roc_auc", np.array([0, 1]), np.array([[0.5, 0.5]] * 2))
    shares = np.array([[0.75, 0.25], [0.7, 0.3], [0.65, 0.35]])
    assert decide(shares, decision).decided.tolist() == [0, 1, 1]


def test_a_metric_of_probabilities_does_not_choose_the_decision():
    """Every correction has the same AUC; macro-F1 decides instead."""
    rng = np.random.default_rng(0)
    truth = (rng.random(500) < 0.1).astype(int)
    positive = np.clip(0.05 + 0.2 * truth + rng.normal(0, 0.05, 500), 0.01, 0.99)
    shares = np.column_stack([1 - positive, positive])
    weights = _learned(TUNED, "roc_auc", truth, shares).weights
    assert weights[1] > weights[0]


def test_the_top_share_learns_the_threshold_that_as_many_rows_pass():
    """For single requests; a batch is decided by rank."""
    positive = np.linspace(0.0, 0.5, 101)
    shares = np.column_stack([1 - positive, positive])
    rule = DecisionSection(rule="top_share", share=0.1)
    decision = _learned(rule, "roc_auc", np.zeros(101, dtype=int), shares)
    alone = decide(shares, decision._replace(share=None))
    assert alone.decided.sum() == 11  # from .45 on
    assert decision.share == 0.1


def test_the_class_that_costs_least_is_said():
    """A missed yes costs ten calls."""
    rule = DecisionSection(rule="cost", costs={"yes": {"no": 10.0}, "no": {"yes": 1.0}})
    decision = _learned(rule, "roc_auc", np.array([0, 1]), np.eye(2), classes=YES)
    shares = np.array([[0.95, 0.05], [0.9, 0.1], [0.5, 0.5]])
    assert decide(shares, decision).decided.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "settings",
    [
        {"rule": "top_share"},
        {"rule": "cost"},
        {"rule": "tuned", "share": 0.1},
        {"rule": "threshold"},
        {"rule": "most_probable", "costs": {"a": {"b": 1.0}}},
    ],
)
def test_a_rule_and_its_setting_need_each_other(settings):
    """Said when the spec is read."""
    with pytest.raises(ValueError, match="need each other"):
        DecisionSection(**settings)
