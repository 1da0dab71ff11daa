import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from noria.evaluation.metrics import METRICS, improvement, is_better, measure

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
    assert measure(name, truth, shares) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", REGRESSION)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=40))
def test_regression_metrics_equal_scikit_learns(name, pairs):
    """Including constant truths and zeros."""
    truth, predicted = (np.array(part) for part in zip(*pairs, strict=True))
    expected = REGRESSION[name](truth, predicted)
    assert measure(name, truth, predicted[:, None]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_log_loss_equals_scikit_learns():
    """On probabilities away from the clipping."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([1, 1, 1], 50)
    truth = rng.integers(0, 3, 50)
    expected = reference.log_loss(truth, shares, labels=[0, 1, 2])
    assert measure("log_loss", truth, shares) == pytest.approx(expected)


def test_every_metric_has_a_reference():
    """No metric is unproved."""
    assert set(METRICS) == {*CLASSIFICATION, *REGRESSION, "log_loss"}


def test_direction_is_the_metrics():
    """Less error is better; more agreement is better; equal is not better."""
    assert is_better("rmse", 1.0, 2.0)
    assert is_better("f1_macro", 0.9, 0.8)
    assert not is_better("f1_macro", 0.9, 0.9)
    assert improvement("rmse", 2.0, 3.0) == 1.0
    assert improvement("accuracy", 0.7, 0.8) == pytest.approx(-0.1)
