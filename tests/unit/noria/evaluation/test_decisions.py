import numpy as np
import pytest

from noria.evaluation.decisions import check_decisions, decide
from noria.evaluation.metrics import Answers
from noria.inference.predictor import Predictor
from noria.records.bundle import Decision
from tests.support.trained import tiny_bundle

NAMES = ["no", "yes"]


def _checked(truth, decided, *, rule="tuned", classes=NAMES, metric="roc_auc", commonest=0):
    truth, decided = np.array(truth), np.array(decided)
    answers = Answers(np.full((len(truth), len(classes)), 1.0 / len(classes)), decided)
    return check_decisions(
        rule, metric, truth, answers,
        commonest=commonest, classes=classes, max_share_ratio=3.0,
    )  # fmt: skip


def test_a_class_said_nine_times_as_often_as_it_is_true_is_degenerate():
    """83 % "yes" where 9 % are, as a bank's campaign was served."""
    truth = [1] * 90 + [0] * 910
    found = _checked(truth, [1] * 830 + [0] * 170)
    assert found.is_degenerate
    assert {part.name for part in found.beyond} == {"yes", "no"}
    assert (found.beyond[1].predicted, found.beyond[1].actual) == (0.83, 0.09)


def test_a_collapse_onto_one_of_two_equal_classes_is_degenerate():
    """The other one is never said, and it is not rare."""
    assert _checked([0, 1] * 500, [1] * 1000).is_degenerate


def test_a_rare_class_that_is_never_said_is_no_degenerate_decision():
    """It is what the most probable class comes to where 9 % are positive."""
    found = _checked([1] * 90 + [0] * 910, [0] * 1000, rule="most_probable")
    assert not found.is_degenerate


def test_few_rows_prove_nothing():
    """Three of thirty said where one is true may be an accident."""
    found = _checked([1] + [0] * 29, [1, 1, 1, 1] + [0] * 26)
    assert not found.beyond


def test_worse_than_always_the_commonest_class_on_both_counts_is_degenerate():
    """On one of them alone it may be what the project wants."""
    rng = np.random.default_rng(0)
    truth = (rng.random(2000) < 0.2).astype(int)
    wrong = np.where(rng.random(2000) < 0.3, 1, 0)
    three = ["a", "b", "c"]
    assert _checked(truth + 1, wrong + 1, classes=three, commonest=1).accuracy < 0.7
    useless = _checked(truth, 1 - truth, metric="f1_weighted")
    assert useless.is_worse_than_commonest
    finds = np.where(truth == 1, 1, (rng.random(2000) < 0.35).astype(int))
    better_on_one = _checked(truth, finds)
    assert better_on_one.accuracy < better_on_one.commonest_accuracy
    assert not better_on_one.is_worse_than_commonest


def test_the_shares_of_a_campaign_are_its_will():
    """The best 10 % are called, however many would buy."""
    truth = [1] * 500 + [0] * 500
    assert not _checked(truth, [1] * 100 + [0] * 900, rule="top_share").beyond
    assert _checked(truth, [1] * 100 + [0] * 900, rule="threshold").beyond


@pytest.mark.parametrize(
    "decision",
    [Decision((0.2, 1.0, 0.5)), Decision((1.0,) * 3, ((0.0, 3.0, 1.0), (9.0, 0.0, 2.0), (1.0, 1.0, 0.0)))],
    ids=["weights", "costs"],
)  # fmt: skip
def test_many_rows_are_decided_as_each_alone(decision):
    """The serving predictor and the evaluation take the same classes."""
    shares = np.random.default_rng(0).dirichlet([1, 1, 1], 500)
    model = {"form": "linear", "link": "softmax", "calibration": {"slope": 1.0, "shift": [0.0] * 3}}
    numbers = {"coefficients": [2.0, 1.0, 0.0], "intercepts": [0.0, 0.0, 0.0]}
    bundle = tiny_bundle(
        numbers,
        task="classification",
        classes=["a", "b", "c"],
        model={**model, "n_outputs": 3},
        **decision.to_dict(),
    )
    predictor = Predictor(bundle)
    alone = [predictor.decide(row) for row in shares.tolist()]
    assert decide(shares, decision).decided.tolist() == alone


def test_a_batch_is_decided_by_rank_and_equal_rows_by_their_order():
    """Exactly the share of the rows, whatever their probabilities."""
    positive = np.array([0.2, 0.9, 0.2, 0.2, 0.1])
    shares = np.column_stack([1 - positive, positive])
    assert decide(shares, Decision((1.0, 1.0), share=0.4)).decided.tolist() == [1, 1, 0, 0, 0]
