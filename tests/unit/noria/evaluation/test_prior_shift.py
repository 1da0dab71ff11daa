"""Class shares told from probabilities, without a label."""

import numpy as np
import pytest

from noria.evaluation import prior_shift
from noria.evaluation.prior_shift import estimated_shares


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
    found = estimated_shares(probabilities, known)
    assert found.shares == pytest.approx(np.array(shares), abs=0.03)
    assert found.is_evident
    counted = probabilities.mean(axis=0)
    assert np.abs(counted - shares).max() > 2 * np.abs(found.shares - shares).max()


def test_several_classes_move_at_once():
    """One grows, one dies out."""
    known, shares = np.full(4, 0.25), np.array([0.6, 0.25, 0.15, 0.0])
    found = estimated_shares(_probabilities(shares, 6000, known=known, seed=2), known)
    assert found.shares == pytest.approx(shares, abs=0.03)


def test_shares_as_in_training_are_rarely_said_to_have_moved():
    """Evident in about 2 of 1000 windows of 500 rows; 2 of 100 are hardly chance."""
    known = np.array([0.6, 0.3, 0.1])
    found = [
        estimated_shares(_probabilities(known, 500, known=known, seed=seed), known)
        for seed in range(100)
    ]
    assert sum(one.is_evident for one in found) <= 1


def _truer(n_rows, *, seeds=60):
    """Return (batches corrected, those of them that became less true) of rare classes."""
    known, shares = np.array([0.9, 0.1]), np.array([0.97, 0.03])
    corrected = worse = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        truth = rng.choice(2, n_rows, p=shares)
        x = rng.normal(size=n_rows) + 1.5 * truth
        odds = known[1] / known[0] * np.exp(1.5 * x - 1.125)
        positive = odds / (1.0 + odds)
        probabilities = np.column_stack([1.0 - positive, positive])
        found = estimated_shares(probabilities, known)
        if found.is_evident:
            corrected += 1
            after = found.corrected(probabilities)
            places = np.arange(n_rows), truth
            worse += np.log(after[places]).mean() < np.log(probabilities[places]).mean()
    return corrected, worse


def test_a_rare_class_does_not_vanish_from_a_small_batch(monkeypatch):
    """A perfectly calibrated model, and 200 rows of which 6 are of the class.

    The control is the plain EM: nearly every batch that it corrects becomes less true.
    """
    corrected, worse = _truer(200)
    assert corrected >= 3
    assert worse <= 0.2 * corrected
    monkeypatch.setattr(prior_shift, "_DOUBT", 0.0)
    corrected, worse = _truer(200)
    assert corrected >= 10
    assert worse >= 0.5 * corrected


def test_a_weight_counts_like_so_many_rows():
    """Weights 1 and 3 are the row once and three times; but no more evidence than its rows."""
    known = np.array([0.5, 0.5])
    rows = _probabilities((0.4, 0.6), 300, known=known, seed=3)
    weights = np.where(np.arange(300) % 2, 3.0, 1.0)
    weighted = estimated_shares(rows, known, weights=weights)
    repeated = estimated_shares(np.repeat(rows, weights.astype(int), axis=0), known)
    assert weighted.shares == pytest.approx(repeated.shares, abs=0.01)
    assert weighted.gain == pytest.approx(repeated.gain / 2, rel=0.1)


def test_a_class_that_training_hardly_had_breaks_nothing():
    """A share of 0 has no ratio."""
    found = estimated_shares(np.array([[1.0, 0.0], [0.8, 0.2]]), np.array([1.0, 0.0]))
    assert np.isfinite(found.shares).all()
    assert found.gain >= 0.0
    assert np.isfinite(found.corrected(np.array([[0.0, 1.0], [1.0, 0.0]]))).all()


def test_corrected_probabilities_are_those_of_a_model_for_the_new_shares():
    """Bayes: the likelihoods stay, the priors are others."""
    known, shares = np.array([0.7, 0.3]), np.array([0.2, 0.8])
    before = _probabilities(shares, 4000, known=known, seed=4)
    right = _probabilities(shares, 4000, known=shares, seed=4)
    found = estimated_shares(before, known)
    assert np.abs(found.corrected(before) - right).max() < 0.03
    assert np.abs(before - right).max() > 0.3
