import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from noria.evaluation.metrics import METRICS, Answers, improvement, is_better, measure

CLASSIFICATION = {
    "accuracy": lambda y, p: reference.accuracy_score(y, p),
    "f1_macro": lambda y, p: reference.f1_score(y, p, average="macro", zero_division=0),
    "f1_weighted": lambda y, p: reference.f1_score(y, p, average="weighted", zero_division=0),
    "precision_macro": lambda y, p: reference.precision_score(
        y, p, average="macro", zero_division=0
    ),
    "precision_weighted": lambda y, p: reference.precision_score(
        y, p, average="weighted", zero_division=0
    ),
    "recall_macro": lambda y, p: reference.recall_score(y, p, average="macro", zero_division=0),
    "recall_weighted": lambda y, p: reference.recall_score(
        y, p, average="weighted", zero_division=0
    ),
}
REGRESSION = {
    "rmse": reference.root_mean_squared_error,
    "mse": reference.mean_squared_error,
    "mae": reference.mean_absolute_error,
    "mape": reference.mean_absolute_percentage_error,
    "r2": reference.r2_score,
}


@pytest.mark.parametrize("name", CLASSIFICATION)
@given(labels=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_classification_metrics_equal_scikit_learns(name, labels):
    """Including classes that never occur or are never predicted."""
    truth, predicted = (np.array(part) for part in zip(*labels, strict=True))
    shares = np.eye(4)[predicted]
    expected = CLASSIFICATION[name](truth, predicted)
    assert measure(name, truth, Answers(shares, predicted)) == pytest.approx(expected, abs=1e-12)


# Thousandths: squares of denormal numbers overflow scikit-learn's own division.
_VALUES = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


@pytest.mark.parametrize("name", REGRESSION)
@given(st.lists(st.tuples(_VALUES, _VALUES), min_size=2, max_size=40))
def test_regression_metrics_equal_scikit_learns(name, pairs):
    """Including constant truths and zeros."""
    truth, predicted = (np.array(part) for part in zip(*pairs, strict=True))
    expected = REGRESSION[name](truth, predicted)
    assert measure(name, truth, Answers(predicted[:, None], None)) == pytest.approx(
        expected, rel=1e-9, abs=1e-9
    )


RANKING = {
    "log_loss": lambda y, p: reference.log_loss(y, p, labels=range(p.shape[1])),
    "roc_auc": lambda y, p: (
        reference.roc_auc_score(y, p[:, 1])
        if p.shape[1] == 2
        else reference.roc_auc_score(y, p, multi_class="ovr", average="macro")
    ),
    "pr_auc": lambda y, p: (
        reference.average_precision_score(y, p[:, 1])
        if p.shape[1] == 2
        else reference.average_precision_score(np.eye(p.shape[1])[y], p, average="macro")
    ),
    "brier": lambda y, p: (
        reference.brier_score_loss(y, p[:, 1])
        if p.shape[1] == 2
        else np.mean(np.sum((p - np.eye(p.shape[1])[y]) ** 2, axis=1))
    ),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", RANKING)
@given(seed=st.integers(0, 10**6), digits=st.integers(1, 6))
def test_metrics_of_probabilities_equal_scikit_learns(name, n_classes, seed, digits):
    """Few digits make ties."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([1] * n_classes, 40).round(digits)
    shares[:, 0] = 1.0 - shares[:, 1:].sum(axis=1)
    shares = np.clip(shares, 1e-9, 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    truth = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, 40 - n_classes)])
    expected = RANKING[name](truth, shares)
    answers = Answers(shares, shares.argmax(axis=1))
    assert measure(name, truth, answers) == pytest.approx(expected, abs=1e-9)


def test_a_sample_of_one_class_counts_as_chance():
    """A bootstrap draw may hold no positive row; it must not end the evaluation."""
    answers = Answers(np.array([[0.4, 0.6], [0.7, 0.3]]), np.array([1, 0]))
    assert measure("roc_auc", np.array([0, 0]), answers) == 0.5
    assert measure("pr_auc", np.array([0, 0]), answers) == 0.0


def test_calibration_error_is_the_weighted_gap_of_ten_bins():
    """Confidence .9 with three hits of four: a gap of .15; .55 with one of two: .05."""
    confidence = np.array([0.9] * 4 + [0.55] * 2)
    shares = np.column_stack([1 - confidence, confidence])
    truth = np.array([1, 1, 1, 0, 1, 0])
    found = measure("calibration_error", truth, Answers(shares, np.ones(6, dtype=int)))
    assert found == pytest.approx((4 * 0.15 + 2 * 0.05) / 6)


def test_decisions_and_probabilities_are_separate():
    """A decision rule moves accuracy and leaves log-loss."""
    shares, truth = np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([1, 0])
    plain, tuned = (Answers(shares, np.array(d)) for d in ([0, 0], [1, 0]))
    assert measure("accuracy", truth, plain) == 0.5
    assert measure("accuracy", truth, tuned) == 1.0
    assert measure("log_loss", truth, plain) == measure("log_loss", truth, tuned)


def test_every_metric_has_a_reference():
    """No metric is unproved."""
    assert set(METRICS) == {*CLASSIFICATION, *REGRESSION, *RANKING, "calibration_error"}


def test_direction_is_the_metrics():
    """Less error is better; more agreement is better; equal is not better."""
    assert is_better("rmse", 1.0, 2.0)
    assert is_better("f1_macro", 0.9, 0.8)
    assert not is_better("f1_macro", 0.9, 0.9)
    assert improvement("rmse", 2.0, 3.0) == 1.0
    assert improvement("accuracy", 0.7, 0.8) == pytest.approx(-0.1)
