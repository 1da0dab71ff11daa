import json

import numpy as np
import pytest

from noria.monitoring.checks import check_columns
from noria.monitoring.profiles import Frame, FrameColumn, number_edges
from noria.records.codec import encode

EFFECTS = {"ks": 0.08, "missing_share": 0.02}
N_COLUMNS = 20


def _world(seed=0, n=4000):
    rng = np.random.default_rng(seed)
    rows = {f"f{i}": rng.normal(size=n) for i in range(N_COLUMNS)}
    frame = Frame(
        {name: FrameColumn("number", number_edges(values)) for name, values in rows.items()}
    )
    return frame, frame.profile(rows), rng


def _check(reference, current, alpha=0.005):
    return check_columns(reference, current, effects=EFFECTS, alpha=alpha)


def test_a_shift_of_a_third_of_a_deviation_is_found_in_500_rows():
    """In the columns that moved, and in no other."""
    frame, reference, rng = _world()
    current = frame.profile(
        {f"f{i}": rng.normal(0.35 if i < 3 else 0.0, size=500) for i in range(N_COLUMNS)}
    )
    drifted = {f.column for f in _check(reference, current) if f.is_drifted}
    assert drifted
    assert drifted <= {"f0", "f1", "f2"}


def test_without_a_change_hundreds_of_windows_stay_quiet():
    """200 windows of 20 columns: any p < .05 would call in most of them."""
    frame, reference, rng = _world(5)
    called = naive = 0
    for _ in range(200):
        current = frame.profile({f"f{i}": rng.normal(size=300) for i in range(N_COLUMNS)})
        findings = _check(reference, current)
        called += any(f.is_drifted for f in findings)
        naive += any(
            f.p_value is not None and f.p_value < 0.05 for f in findings if f.statistic == "ks"
        )
    assert called <= 1
    assert naive > 100


def test_a_sure_but_tiny_change_is_no_drift():
    """On a million rows everything is significant; the effect decides."""
    frame, reference, rng = _world(1, n=100_000)
    current = frame.profile({f"f{i}": rng.normal(0.03, size=100_000) for i in range(N_COLUMNS)})
    findings = [f for f in _check(reference, current) if f.statistic == "ks"]
    assert max(f.p_adjusted for f in findings) < 0.005
    assert not any(f.is_drifted for f in findings)


def test_a_large_but_unsure_change_is_no_drift():
    """Thirty rows may look like anything."""
    frame, reference, rng = _world(2)
    current = frame.profile({f"f{i}": rng.normal(size=30) for i in range(N_COLUMNS)})
    findings = [f for f in _check(reference, current) if f.statistic == "ks"]
    assert max(f.effect for f in findings) > 0.08
    assert not any(f.is_drifted for f in findings)


def test_statistics_without_a_threshold_inform_and_do_not_decide():
    """They are in the report, and in no correction."""
    frame, reference, rng = _world(3)
    current = frame.profile({f"f{i}": rng.normal(3.0, size=300) for i in range(N_COLUMNS)})
    informing = [f for f in _check(reference, current) if f.statistic == "psi"]
    assert len(informing) == N_COLUMNS
    assert all(f.threshold is None and f.p_adjusted is None and not f.is_drifted for f in informing)


def test_an_empty_column_says_nothing():
    """Neither drift nor its absence; that it is empty is the missing share's to say."""
    frame = Frame({"x": FrameColumn("number", [0.0, 1.0])})
    reference = frame.profile({"x": [0.5] * 100})
    findings = _check(reference, frame.profile({"x": [None] * 100}))
    assert {f.statistic for f in findings} == {"missing_share"}
    assert findings[0].is_drifted


@pytest.mark.parametrize("alpha", [0.5, 0.005])
def test_findings_are_json(alpha):
    """Endless effects too."""
    frame = Frame({"x": FrameColumn("number", [5.0])})
    reference, current = frame.profile({"x": [5.0] * 50}), frame.profile({"x": [6.0] * 50})
    text = json.dumps([encode(f) for f in _check(reference, current, alpha)], allow_nan=False)
    assert "Infinity" not in text
