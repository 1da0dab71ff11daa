"""The default policy on real pairs of windows with known answers."""

import pytest

from tests.benchmarks.data import DATA
from tests.benchmarks.drift_pairs import drifted, pairs

pytestmark = pytest.mark.skipif(
    not (DATA / "drift" / "manifest.json").exists(),
    reason="needs the development data: set NORIA_DATA to its folder",
)


def test_every_pair_is_answered_right():
    """Quiet on halves of one window, loud on other times, places and sources."""
    wrong = [p.case for p in pairs() if bool(drifted(p.reference, p.current)) != p.is_drift]
    assert not wrong


def test_the_columns_that_changed_are_found_by_name():
    """At least four of five; two months differ in few rows of some."""
    changed = found = 0
    for pair in pairs():
        changed += len(pair.changed)
        found += len(set(pair.changed) & drifted(pair.reference, pair.current))
    assert found >= 0.8 * changed
