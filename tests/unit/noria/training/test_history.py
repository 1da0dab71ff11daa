"""Since when a champion's errors have changed."""

import numpy as np
import pytest

from noria.training.history import last_change


def _losses(*levels, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(n) < rate for rate, n in levels]).astype(np.float64)


@pytest.mark.parametrize("seed", range(20))
def test_the_place_where_errors_rise_is_found(seed):
    """Within 50 rows, whatever the draw."""
    place = last_change(_losses((0.1, 2000), (0.5, 600), seed=seed))
    assert abs(place - 2000) < 50


def test_of_two_changes_the_last_counts():
    """Only the newest level is what comes next."""
    place = last_change(_losses((0.1, 1500), (0.9, 800), (0.3, 900)))
    assert abs(place - 2300) < 50


def test_a_fall_is_a_change_as_well():
    """An old relation may come back."""
    assert abs(last_change(_losses((0.8, 1500), (0.1, 500))) - 1500) < 50


def test_steady_errors_have_no_change():
    """Not in 1 of 200 streams of 4,000 rows; a change in each is found in all (the control)."""
    steady = [last_change(_losses((0.2, 4000), seed=seed)) for seed in range(200)]
    changed = [last_change(_losses((0.2, 3000), (0.5, 1000), seed=seed)) for seed in range(200)]
    assert (np.count_nonzero(steady), np.count_nonzero(changed)) == (0, 200)


def test_errors_that_come_in_runs_are_no_change():
    """Hours go well or badly: 40 neighbours at a time are right or wrong together."""
    found = [
        last_change(np.repeat(_losses((0.2, 100), seed=seed), 40)) for seed in range(100)
    ]  # fmt: skip
    assert np.count_nonzero(found) <= 5


def test_few_rows_have_no_change():
    """A level needs 200 rows."""
    assert last_change(_losses((0.0, 199), (1.0, 199))) == 0


@pytest.mark.parametrize("unit", [1e-6, 0.01, 1.0, 1000.0])
def test_the_unit_of_the_losses_does_not_matter(unit):
    """A rate in hundredths or a price in thousands: the change is at the same place."""
    losses = _losses((0.1, 2000), (0.5, 600)) + 0.01 * np.random.default_rng(1).random(2600)
    assert last_change(unit * losses) == last_change(losses) > 1900


def test_a_loss_beyond_all_numbers_hides_no_change():
    """It counts as the greatest of the others."""
    losses = _losses((0.1, 2000), (0.5, 600))
    losses[700] = np.inf
    assert abs(last_change(losses) - 2000) < 50
    assert last_change(np.full(1000, np.nan)) == 0
