import numpy as np
import pytest

from noria.evaluation.decisions import decide
from noria.evaluation.metrics import measure
from noria.training.calibration import fit_calibration, no_calibration
from noria.training.decisions import most_probable


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
    answers = decide(calibration.probabilities(fresh), most_probable(3))
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
