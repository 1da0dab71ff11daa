"""Each statistic against a slow obvious reference, its invariants, and its edges."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from noria.monitoring.drift.registry import STATISTICS
from noria.monitoring.profiles import LevelProfile, NumberProfile, TermProfile, number_edges
from noria.spec.catalog import DRIFT_STATISTICS

RNG = np.random.default_rng(3)
SAMPLE = st.lists(st.floats(-50, 50), min_size=2, max_size=60)


def _numbers(reference, current, *, keep=10_000):
    edges = np.array(number_edges(reference))
    return [NumberProfile.of(edges, values, keep=keep) for values in (reference, current)]


def _levels(reference, current, names=("a", "b", "c")):
    return [LevelProfile.of(names, values) for values in (reference, current)]


def _find(name, pair):
    return STATISTICS[name].compute(*pair)


def test_the_catalog_names_what_there_is():
    """A spec is checked without scipy."""
    assert set(STATISTICS) == DRIFT_STATISTICS


@pytest.mark.parametrize("n_current", [50, 400])
def test_ks_is_scipys_while_values_are_kept(n_current):
    """D exactly, p nearly: ours has Stephens' correction."""
    reference, current = RNG.normal(size=800), RNG.normal(0.3, size=n_current)
    theirs = scipy.stats.ks_2samp(reference, current, method="exact")
    ours = _find("ks", _numbers(reference, current))
    assert ours.effect == pytest.approx(theirs.statistic, abs=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=0.25, abs=1e-4)


def test_ks_on_bins_is_near_the_exact_one():
    """Error of D at most 0.002 plus the bins' width, as measured."""
    reference, current = RNG.normal(size=20_000), RNG.normal(0.1, size=5000)
    exact = scipy.stats.ks_2samp(reference, current).statistic
    binned = _find("ks", _numbers(reference, current, keep=0)).effect
    assert binned == pytest.approx(exact, abs=0.006)


def test_chi_square_is_scipys_on_unequal_totals():
    """Observed and expected of unequal totals raised in the system this replaces."""
    left, right = ["a"] * 300 + ["b"] * 200 + ["c"] * 100, ["a"] * 40 + ["b"] * 50 + ["c"] * 30
    theirs = scipy.stats.chi2_contingency([[300, 200, 100], [40, 50, 30]], correction=False)
    assert _find("chi_square", _levels(left, right)).p_value == pytest.approx(theirs.pvalue)


def test_chi_square_puts_rare_levels_together():
    """Expected counts below five make the approximation poor."""
    left, right = ["a"] * 100 + ["b"], ["a"] * 20 + ["c"]
    assert _find("chi_square", _levels(left, right)).p_value > 0.05


def test_unseen_levels_are_drift():
    """The month after the training months is in no level."""
    found = _find("chi_square", _levels(["a"] * 100, ["z"] * 100))
    assert found.p_value < 1e-10
    assert "(not in training)" in found.detail


def test_psi_has_its_textbook_value():
    """Shares .5/.5 against .6/.4: 2 * 0.1 * ln(1.5) / 2 = 0.0405, on many rows."""
    left, right = ["a"] * 50_000 + ["b"] * 50_000, ["a"] * 60_000 + ["b"] * 40_000
    found = _find("psi", _levels(left, right, ("a", "b")))
    assert found.effect == pytest.approx(
        0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5), rel=1e-3
    )


def test_psis_p_value_knows_the_sample_size():
    """0.1 means nothing on 50 rows and everything on 50,000."""
    few, many = (
        _find("psi", _levels(["a"] * n + ["b"] * n, ["a"] * int(1.2 * n) + ["b"] * int(0.8 * n),
                             ("a", "b")))
        for n in (25, 25_000)
    )  # fmt: skip
    assert few.p_value > 0.05
    assert many.p_value < 1e-10


def test_jensen_shannon_is_scipys():
    """Base 2: between 0 and 1."""
    from scipy.spatial.distance import jensenshannon

    left, right = ["a"] * 30 + ["b"] * 70, ["a"] * 60 + ["b"] * 40
    expected = jensenshannon([0.3, 0.7], [0.6, 0.4], base=2)
    assert _find("jensen_shannon", _levels(left, right, ("a", "b"))).effect == pytest.approx(
        expected
    )


def test_wasserstein_is_scipys_within_the_edges():
    """Distances of shifted samples, in deviations."""
    reference = RNG.uniform(0, 10, 4000)
    current = RNG.uniform(1, 9, 4000)
    expected = scipy.stats.wasserstein_distance(reference, current) / np.std(reference, ddof=1)
    found = _find("wasserstein", _numbers(reference, current))
    assert found.effect == pytest.approx(expected, rel=0.05)


def test_mean_shift_is_welchs_z_not_the_deviation_of_single_values():
    """A tenth of a deviation on 5,000 rows is sure, though far from two deviations."""
    reference, current = RNG.normal(size=20_000), RNG.normal(0.1, size=5000)
    found = _find("mean_shift", _numbers(reference, current))
    welch = scipy.stats.ttest_ind(reference, current, equal_var=False)
    assert found.p_value == pytest.approx(welch.pvalue, rel=0.1)
    assert found.effect == pytest.approx(0.1, abs=0.03)


def test_a_new_word_in_many_texts_is_found_by_name():
    """The report says which."""
    terms = ("correo", "vpn")
    pair = [TermProfile.of(terms, [[0]] * 500), TermProfile.of(terms, [[0, 1]] * 40 + [[0]] * 160)]
    found = _find("term_shares", pair)
    assert found.p_value < 1e-6
    assert found.effect == pytest.approx(0.2)
    assert found.detail.startswith("texts with 'vpn' 0.0% → 20.0%")


def test_more_gaps_are_found():
    """A form that stopped asking."""
    pair = _numbers([1.0, 2.0] * 200, [1.0] * 60 + [None] * 40)
    found = _find("missing_share", pair)
    assert found.effect == pytest.approx(0.4)
    assert found.p_value < 1e-10


@given(SAMPLE, SAMPLE)
def test_effects_are_never_negative_and_p_values_are_probabilities(reference, current):
    """Whatever the rows: ties, constants, outliers."""
    pair = _numbers(reference, current)
    for name, statistic in STATISTICS.items():
        if NumberProfile in statistic.kinds:
            found = _find(name, pair)
            assert found.effect >= 0.0
            assert found.p_value is None or 0.0 <= found.p_value <= 1.0 + 1e-9


@given(SAMPLE)
def test_a_sample_against_itself_has_not_moved(values):
    """Zero effect, and nothing to be sure of."""
    pair = _numbers(values, values)
    for name in ("ks", "psi", "jensen_shannon", "wasserstein", "mean_shift"):
        assert _find(name, pair).effect == pytest.approx(0.0, abs=1e-9)


@given(SAMPLE, st.randoms())
def test_the_order_of_rows_does_not_matter(values, rng):
    """Windows arrive in any order."""
    shuffled = list(values)
    rng.shuffle(shuffled)
    reference = [v + 1.0 for v in values]
    one, two = (_find("ks", _numbers(reference, v)) for v in (values, shuffled))
    assert one.effect == two.effect


def test_a_constant_column_is_compared():
    """No spread, no division by it."""
    same, moved = _numbers([5.0] * 50, [5.0] * 50), _numbers([5.0] * 50, [6.0] * 50)
    for name in ("ks", "psi", "wasserstein", "mean_shift"):
        assert _find(name, same).effect == 0.0
    assert _find("ks", moved).effect == 1.0
    assert _find("mean_shift", moved).effect == float("inf")
