import numpy as np

from noria.evaluation.comparison import compare
from noria.evaluation.metrics import Answers

SETTINGS = {"n_replicates": 400, "confidence": 0.95, "seed": 1}


def _regression(n, sd_ours, sd_theirs, seed):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    ours = truth + rng.normal(scale=sd_ours, size=n)
    theirs = truth + rng.normal(scale=sd_theirs, size=n)
    return truth, (Answers(ours[:, None], None), Answers(theirs[:, None], None))


def test_a_model_against_itself_improves_by_exactly_nothing():
    """Pairing cancels what both share."""
    truth, (ours, _) = _regression(50, 1, 1, 0)
    same = compare("rmse", truth, (ours, ours), **SETTINGS)
    assert (same.improvement, same.low, same.high) == (0.0, 0.0, 0.0)


def test_a_clearly_better_model_has_its_interval_above_zero_whatever_the_direction():
    """Positive means the challenger is better, for errors too."""
    truth, outputs = _regression(300, 0.5, 1.0, 0)
    assert compare("rmse", truth, outputs, **SETTINGS).low > 0
    assert compare("r2", truth, outputs, **SETTINGS).low > 0
    assert compare("rmse", truth, outputs[::-1], **SETTINGS).high < 0


def test_equal_models_are_called_better_in_few_of_many_trials():
    """The old rule passed equally good models 17 to 36 % of the time; 2.5 % is the level."""
    wins = 0
    for seed in range(200):
        truth, outputs = _regression(243, 1.0, 1.0, seed)
        settings = {**SETTINGS, "n_replicates": 200, "seed": seed}
        wins += compare("rmse", truth, outputs, **settings).low > 0
    assert wins <= 13  # P(more | 2.5 %) < 0.1 %


def test_the_interval_matches_the_normal_theory_of_a_mean():
    """Mean absolute errors differ by a mean, whose interval is known."""
    rng = np.random.default_rng(0)
    errors = rng.exponential(1.0, (400, 2))
    truth = np.zeros(400)
    found = compare(
        "mae",
        truth,
        (Answers(errors[:, :1], None), Answers(errors[:, 1:], None)),
        **{**SETTINGS, "n_replicates": 4000},
    )
    difference = errors[:, 1] - errors[:, 0]
    half = 1.96 * difference.std() / 20
    assert abs(found.low - (difference.mean() - half)) < 0.015
    assert abs(found.high - (difference.mean() + half)) < 0.015


def test_equal_seeds_give_equal_intervals():
    """An evaluation can be repeated."""
    truth, outputs = _regression(60, 1, 1, 3)
    assert compare("rmse", truth, outputs, **SETTINGS) == compare(
        "rmse", truth, outputs, **SETTINGS
    )
