import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.evaluation.metrics import measure
from noria.spec.model import DecisionSection
from noria.training.calibration import decided, decision_weights, fit_calibration, no_calibration


def _scores(slope, n=4000, seed=0):
    """Scores whose true probabilities are softmax(scores / slope)."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, 3)) * 1.5 + np.array([1.0, 0.0, -1.0])
    shares = no_calibration(3).probabilities(true)
    truth = np.array([rng.choice(3, p=row) for row in shares])
    return true * slope, truth


@pytest.mark.parametrize("slope", [0.3, 1.0, 4.0])
def test_calibration_finds_the_scale_of_the_scores(slope):
    """Overconfident and timid scores alike."""
    scores, truth = _scores(slope)
    calibration = fit_calibration(scores, truth)
    assert calibration.slope == pytest.approx(1.0 / slope, rel=0.08)
    fresh, fresh_truth = _scores(slope, seed=1)
    answers = decided(calibration.probabilities(fresh), 1.0)
    assert measure("calibration_error", fresh_truth, answers) < 0.03


def test_calibration_undoes_balanced_weights():
    """A model that thinks classes are equally frequent learns how frequent they are."""
    scores, truth = _scores(1.0)
    tilted = scores + np.array([-1.0, 0.0, 1.0])
    shares = fit_calibration(tilted, truth).probabilities(tilted)
    assert np.allclose(shares.mean(axis=0), np.bincount(truth) / len(truth), atol=0.01)


def test_separable_scores_stay_finite():
    """A perfect fold is no reason for certainty."""
    truth = np.array([0, 1] * 20)
    shares = fit_calibration(np.eye(2)[truth] * 5.0, truth).probabilities(np.eye(2)[truth] * 5.0)
    assert (shares < 1.0).all()


@given(st.integers(0, 1000))
def test_tuned_decisions_are_never_worse_on_the_rows_they_were_tuned_on(seed):
    """No correction is among the choices."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=200, p=[0.8, 0.15, 0.05])
    shares = rng.dirichlet([4, 2, 1], 200)
    weights = decision_weights(DecisionSection(rule="tuned"), "f1_macro", truth, shares)
    tuned = measure("f1_macro", truth, decided(shares, weights))
    assert tuned >= measure("f1_macro", truth, decided(shares, 1.0))
    assert max(weights) == 1.0


def test_a_threshold_decides_for_the_positive_class_above_it():
    """Of two classes, the last is the positive one."""
    rule = DecisionSection(rule="threshold", threshold=0.3)
    weights = decision_weights(rule, "roc_auc", np.array([0, 1]), np.array([[0.5, 0.5]] * 2))
    shares = np.array([[0.75, 0.25], [0.65, 0.35]])
    assert decided(shares, weights).decided.tolist() == [0, 1]


def test_a_metric_of_probabilities_does_not_choose_the_decision():
    """Every correction has the same AUC; macro-F1 decides instead."""
    rng = np.random.default_rng(0)
    truth = (rng.random(500) < 0.1).astype(int)
    positive = np.clip(0.05 + 0.2 * truth + rng.normal(0, 0.05, 500), 0.01, 0.99)
    shares = np.column_stack([1 - positive, positive])
    weights = decision_weights(DecisionSection(rule="tuned"), "roc_auc", truth, shares)
    assert weights[1] > weights[0]
