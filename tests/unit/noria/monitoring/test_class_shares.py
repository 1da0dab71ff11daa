"""Class shares told from probabilities, without a label."""

import numpy as np
import pytest

from noria.monitoring.class_shares import estimated_shares


def _probabilities(shares, n, *, known, seed):
    """Return what a perfect model for `known` shares says of rows drawn with others."""
    rng = np.random.default_rng(seed)
    known, n_classes = np.asarray(known), len(known)
    truth = rng.choice(n_classes, n, p=shares)
    x = rng.normal(size=(n, n_classes)) + 1.5 * np.eye(n_classes)[truth]
    weights = known * np.exp(1.5 * x)  # likelihoods of unit normals that differ by 1.5
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.8)])
def test_shares_that_have_moved_are_found_where_counting_misses_them(shares):
    """The control counts decisions: it stays near the shares of training."""
    known = np.array([0.7, 0.3])
    probabilities = _probabilities(shares, 4000, known=known, seed=1)
    found, p_value = estimated_shares(probabilities, known)
    assert found == pytest.approx(np.array(shares), abs=0.03)
    assert p_value < 1e-6
    counted = probabilities.mean(axis=0)
    assert np.abs(counted - shares).max() > 2 * np.abs(found - shares).max()


def test_several_classes_move_at_once():
    """One grows, one dies out."""
    known, shares = np.full(4, 0.25), np.array([0.6, 0.25, 0.15, 0.0])
    found, _ = estimated_shares(_probabilities(shares, 6000, known=known, seed=2), known)
    assert found == pytest.approx(shares, abs=0.03)


def test_shares_as_in_training_are_rarely_said_to_have_moved():
    """p below 0.05 in 5 of 100 windows; up to 11 by chance."""
    known = np.array([0.6, 0.3, 0.1])
    p_values = [
        estimated_shares(_probabilities(known, 500, known=known, seed=seed), known)[1]
        for seed in range(100)
    ]
    assert sum(p < 0.05 for p in p_values) <= 11


def test_a_class_that_training_hardly_had_breaks_nothing():
    """A share of 0 has no ratio."""
    found, p_value = estimated_shares(np.array([[1.0, 0.0], [0.8, 0.2]]), np.array([1.0, 0.0]))
    assert np.isfinite(found).all()
    assert 0.0 <= p_value <= 1.0
