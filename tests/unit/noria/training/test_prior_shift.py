"""Whether a correction for other class shares helps is told from out-of-fold answers."""

import numpy as np
import pytest

from noria.evaluation.prior_shift import estimated_shares
from noria.records.bundle import Decision
from noria.training.calibration import fit_calibration
from noria.training.prior_shift import check_correction, corrected_decision

KNOWN = np.array([0.7, 0.3])


def _rows(*, sharpness=1.0, n=4000):
    """Return (truth, probabilities) of a calibrated model; sharper ones are too sure."""
    rng = np.random.default_rng(7)
    truth = rng.choice(2, n, p=KNOWN)
    odds = KNOWN[1] / KNOWN[0] * np.exp(1.2 * (rng.normal(size=n) + 1.2 * (truth - 0.5)))
    positive = odds**sharpness / (1.0 + odds**sharpness)
    return truth, np.column_stack([1.0 - positive, positive])


def test_a_calibrated_model_is_truer_corrected():
    """On class shares three times as likely and a third as likely."""
    check = check_correction(*_rows(), KNOWN, least=100)
    assert check.helps
    assert check.corrected < 0.95 * check.kept


def test_a_model_whose_probabilities_are_far_too_sure_is_not_corrected():
    """Its shares without labels are wrong, and a correction would make it worse."""
    truth, probabilities = _rows(sharpness=4.0)
    turned = probabilities[np.random.default_rng(1).permutation(len(truth))]
    assert not check_correction(truth, turned, turned.mean(axis=0), least=100).helps


def test_the_decision_corrects_only_where_the_spec_asks_and_training_shows_that_it_helps(tickets):
    """The class shares go into the bundle, which a batch is corrected by."""
    truth, probabilities = _rows()
    section = tickets.decision.model_copy(update={"prior_shift": "correct"})
    asked, plain = tickets.model_copy(update={"decision": section}), Decision((1.0, 1.0))
    decision, check = corrected_decision(asked, plain, truth, probabilities)
    assert check.helps
    assert decision.known_shares == pytest.approx(KNOWN, abs=0.02)
    assert decision.plain() == decision
    assert corrected_decision(tickets, plain, truth, probabilities) == (plain, None)
    mixed = probabilities[np.random.default_rng(1).permutation(len(truth))] ** 3
    mixed /= mixed.sum(axis=1, keepdims=True)
    refused, why = corrected_decision(asked, plain, truth, mixed)
    assert (refused, why.helps) == (plain, False)


def test_a_calibration_that_leaves_a_little_undone_makes_no_shift(tickets):
    """The known shares are what the model says on average; the control takes those of the labels.

    Four classes, raw scores that favour some of them, calibrated as training does it.
    """
    section = tickets.decision.model_copy(update={"prior_shift": "correct"})
    asked = tickets.model_copy(update={"decision": section})
    shares, favour = np.array([0.5, 0.3, 0.15, 0.05]), 0.2 * np.array([1.0, -1.0, 1.0, -1.0])

    def scored(n, seed):
        rng = np.random.default_rng(seed)
        truth = rng.choice(4, n, p=shares)
        return truth, rng.normal(size=(n, 4)) + 1.2 * np.eye(4)[truth] + np.log(shares) + favour

    truth, scores = scored(20_000, 1)
    calibration = fit_calibration(scores, truth)
    decision, check = corrected_decision(
        asked, Decision((1.0,) * 4), truth, calibration.probabilities(scores)
    )
    assert check.helps
    evident = {"ours": 0, "labels": 0}
    for seed in range(2, 12):
        fresh = calibration.probabilities(scored(10_000, seed)[1])
        for name, known in (("ours", decision.known_shares), ("labels", shares)):
            evident[name] += estimated_shares(fresh, np.array(known)).is_evident
    assert evident["ours"] == 0
    assert evident["labels"] >= 5
