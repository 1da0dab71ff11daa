import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from noria.evaluation.shares import exact_interval


@given(st.integers(1, 5000), st.floats(0.0, 1.0), st.sampled_from([0.9, 0.95, 0.99, 0.999]))
def test_the_interval_is_scipys_found_without_a_search(n, share, confidence):
    """SciPy looks for the ends step by step, which takes a drift check half of its time."""
    count = round(share * n)
    found = binomtest(count, n).proportion_ci(confidence)
    assert exact_interval(count, n, confidence) == pytest.approx(found, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("n", [1, 30, 10**7])
def test_none_and_all_end_at_the_bounds(n):
    """And leave room on the other side."""
    none, every = exact_interval(0, n, 0.99), exact_interval(n, n, 0.99)
    assert none.low == 0.0 < none.high
    assert every.low < every.high == 1.0
