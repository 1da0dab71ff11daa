import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.monitoring.profiles import (
    KEPT_IN_WINDOW,
    Frame,
    LevelProfile,
    NumberProfile,
    TermProfile,
    exact_sum,
    frequent_levels,
    number_edges,
)

NUMBERS = st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=40)
EDGES = np.array([-100.0, 0.0, 1.0, 50.0])


@given(NUMBERS, NUMBERS)
def test_merged_numbers_are_the_profile_of_all_of_them(left, right):
    """Merging in any order gives what one pass over the rows gives."""
    whole = NumberProfile.of(EDGES, left + right)
    for first, second in ((left, right), (right, left)):
        merged = NumberProfile.of(EDGES, first)
        merged.add(NumberProfile.of(EDGES, second))
        assert merged.counts.tolist() == whole.counts.tolist()
        assert merged.n_missing == whole.n_missing
        assert (merged.mean, merged.std) == (whole.mean, whole.std)  # to the last bit


@given(st.lists(st.floats(-1e140, 1e140), max_size=200))
def test_a_sum_is_that_of_fractions(values):
    """Whatever their sizes; no digit is lost."""
    assert exact_sum(np.array(values)) == sum(map(Fraction, values))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.floats(-1e12, 1e12))
def test_moments_are_right_far_from_zero(values, offset):
    """By fractions, of the numbers as they are stored."""
    moved = [value + offset for value in values]
    profile = NumberProfile.of(np.array([offset]), moved)
    centred = [Fraction(x - offset) for x in moved]
    mean = sum(centred) / len(moved)
    assert profile.mean == pytest.approx(float(mean) + offset, rel=1e-15)
    spread = sum((x - mean) ** 2 for x in centred) / (len(moved) - 1)
    # Squares are rounded once, before they are summed.
    scale = float(max(abs(x) for x in centred))
    assert profile.std == pytest.approx(float(spread) ** 0.5, rel=1e-9, abs=1e-7 * scale)


def test_numbers_too_large_to_square_do_no_harm():
    """They count; their moments are those of a very large number."""
    profile = NumberProfile.of(EDGES, [1.0, 1e300, -1e300])
    assert profile.n == 3
    assert np.isfinite([profile.mean, profile.std]).all()


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=30),
       st.lists(st.sampled_from(["a", "z", None]), max_size=30))  # fmt: skip
def test_merged_levels_are_the_profile_of_all_of_them(left, right):
    """Levels the reference lacks are counted together."""
    merged = LevelProfile.of(("a", "b"), left)
    merged.add(LevelProfile.of(("a", "b"), right))
    whole = LevelProfile.of(("a", "b"), left + right)
    assert merged.counts.tolist() == whole.counts.tolist()
    assert merged.n_missing == whole.n_missing


def test_values_are_kept_while_they_are_few():
    """Small windows are compared exactly; large ones cost no more memory."""
    small, many = NumberProfile.of(EDGES, [1.0, 2.0]), np.arange(KEPT_IN_WINDOW, dtype=float)
    assert small.values.tolist() == [1.0, 2.0]
    small.add(NumberProfile.of(EDGES, many, keep=len(many)))
    assert small.values is None
    assert small.n == KEPT_IN_WINDOW + 2


def test_a_bin_holds_its_lower_edge():
    """Discrete numbers fall into bins of their own."""
    profile = NumberProfile.of(np.array([0.0, 1.0, 2.0]), [0.0, 1.0, 1.0, 2.0, -1.0])
    assert profile.counts.tolist() == [1, 1, 2, 1]


def test_moments_far_from_zero_do_not_cancel():
    """Prices in cents since 1970 have a deviation too."""
    values = [1e12 + i for i in range(100)]
    edges = np.array(number_edges(values))
    assert NumberProfile.of(edges, values).std == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_quantiles_are_exact_on_values_and_near_on_bins():
    """Latency percentiles of a day come from bins."""
    values = np.random.default_rng(1).lognormal(size=5000)
    edges = np.array(number_edges(values))
    exact = NumberProfile.of(edges, values, keep=5000)
    binned = NumberProfile.of(edges, values, keep=0)
    assert exact.quantile(0.95) == np.quantile(values, 0.95)
    assert binned.quantile(0.95) == pytest.approx(np.quantile(values, 0.95), rel=0.05)
    assert NumberProfile.of(edges, []).quantile(0.5) is None


def test_a_profile_survives_json():
    """What is written for a chunk is what a check reads."""
    frame = Frame({"x": ("number", [0.0, 1.0]), "c": ("levels", ["a"]), "t": ("terms", ["w"])})
    values = {"x": [0.5, None], "c": ["a", "b"], "t": [[0], None]}
    profile = frame.profile(values)
    data = json.loads(json.dumps({name: column.to_dict() for name, column in profile.items()}))
    again = Frame.from_dict(json.loads(json.dumps(frame.to_dict()))).read(data)
    for name, column in profile.items():
        assert again[name].to_dict() == column.to_dict()


def test_texts_are_counted_not_words():
    """A word that a text repeats counts once."""
    profile = TermProfile.of(("a", "b"), [[0], [0, 1], None])
    assert (profile.n, profile.n_missing, profile.counts.tolist()) == (2, 1, [2, 1])


def test_edges_and_levels_stay_few():
    """A profile's size has a bound, whatever the column."""
    assert len(number_edges(np.random.default_rng(0).normal(size=10_000))) == 255
    assert len(frequent_levels(str(i) for i in range(1000))) == 50


def test_what_lies_outside_the_bins_is_never_given_as_their_edge():
    """A median of 1.327 was printed as 4.855, the smallest value of training."""
    rng = np.random.default_rng(0)
    edges = number_edges(rng.uniform(4.8, 5.0, 3000).tolist())
    window = NumberProfile.of(np.array(edges), [])
    for _ in range(30):
        window.add(NumberProfile.of(np.array(edges), rng.uniform(0.6, 1.4, 200)))
    assert window.values is None
    assert window.quantile_text(0.5).startswith(f"below {edges[0]:.4g} (least 0.6")
    assert window.shown_quantile(0.5) is None
    assert 0.6 <= window.shown_quantile(0.0) < window.shown_quantile(1.0) <= 1.4
    high = NumberProfile.of(np.array(edges), rng.uniform(7, 8, 6000), keep=0)
    assert high.quantile_text(0.5).startswith(f"at or above {edges[-1]:.4g} (most ")
    again = NumberProfile.from_dict(np.array(edges), window.to_dict())
    assert (again.least, again.most) == (window.least, window.most)
