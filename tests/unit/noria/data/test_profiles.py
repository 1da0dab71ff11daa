import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.data.profiles import (
    KEPT_IN_WINDOW,
    Frame,
    LevelProfile,
    NumberProfile,
    TermProfile,
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
        assert merged.mean == pytest.approx(whole.mean, abs=1e-6)
        # Sums of squares lose the digits that the numbers' size takes.
        largest = max((abs(x) for x in left + right if x is not None), default=0.0)
        assert merged.std == pytest.approx(whole.std, rel=1e-6, abs=1e-3 + 1e-7 * largest)


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
