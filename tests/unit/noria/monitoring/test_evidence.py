from dataclasses import replace

import numpy as np
import pytest

from noria.monitoring.evidence import Policy, accumulated, e_value, needed_evidence, of_window
from noria.records.drift import CheckedWindow, ColumnFinding, RuleFinding, Suspicions
from noria.spec.operations import MonitoringSection

POLICY = Policy(MonitoringSection().alpha, n_windows=2)


def _column(p_adjusted=0.004, effect=0.1, *, holds=True, name="x"):
    return ColumnFinding(name, "ks", effect, 0.08, p_adjusted, p_adjusted, holds, "moved")


def _played(windows, policy=POLICY):
    """Return what is confirmed and suspected after windows of new rows (None: silence)."""
    state, confirmed, suspected = Suspicions(), (), ()
    for number, findings in enumerate(windows):
        checked = (
            CheckedWindow(0, False) if findings is None else CheckedWindow(500, True, findings)
        )
        found = {f"long|{o.finding.name}": o for o in of_window(checked, policy, f"t{number}")}
        state, confirmed, suspected = accumulated(
            state, found, policy, model_version="v", at=f"t{number}", is_new=findings is not None
        )
    return state, {f.name for f in confirmed}, {f.name for f in suspected}


BORDERLINE, QUIET = (_column(),), (_column(0.9, 0.01, holds=False),)


@pytest.mark.parametrize(
    ("windows", "state"),
    [
        ([QUIET] * 5, "stable"),
        ([BORDERLINE], "suspected"),
        ([BORDERLINE, BORDERLINE], "drift"),
        ([BORDERLINE, None, None, BORDERLINE], "drift"),
        ([BORDERLINE, None, None, None], "suspected"),
        ([BORDERLINE, QUIET], "suspected"),
        ([BORDERLINE, *[QUIET] * 4], "stable"),
        ([BORDERLINE, QUIET, BORDERLINE], "suspected"),
        ([BORDERLINE, QUIET, BORDERLINE, BORDERLINE], "drift"),
        ([(_column(1e-5, 0.15),)], "suspected"),
        ([(_column(1e-7, 0.25),)], "drift"),
        ([(_column(1e-7, 0.25),), QUIET], "suspected"),
        ([(_column(1e-7, 0.25),), *[QUIET] * 8], "stable"),
        ([(_column(1e-7, 0.25),), None], "drift"),
        ([(_column(1e-300, 0.10),)], "suspected"),
    ],
    ids=[
        "quiet", "one borderline", "two borderline", "two with silence between", "silence after",
        "contradicted once", "contradicted for long", "two, contradicted between",
        "three, contradicted between", "sure and moderate", "overwhelming", "overwhelming, then quiet",
        "long over", "overwhelming, then silence", "sure of a small effect",
    ],
)  # fmt: skip
def test_evidence_adds_up_over_windows_of_new_rows(windows, state):
    """Silence changes nothing; only rows that say otherwise clear a suspicion."""
    _, confirmed, suspected = _played(windows)
    found = "drift" if confirmed else "suspected" if suspected else "stable"
    assert found == state


def test_a_finding_of_one_column_confirms_no_other():
    """Evidence is kept by column."""
    _, confirmed, suspected = _played([(_column(name="x"),), (_column(name="y"),)])
    assert not confirmed
    assert suspected == {"x", "y"}


def test_one_window_confirms_where_the_spec_says_so():
    """A file is large and rare."""
    _, confirmed, _ = _played([BORDERLINE], POLICY._replace(n_windows=1))
    assert confirmed == {"x"}


def test_an_overwhelming_rule_is_confirmed_at_once_and_another_is_not():
    """A collapse onto one class needs no second window."""
    for overwhelming in (True, False):
        rule = RuleFinding("degenerate_decision", "prediction_drift", True, "t", overwhelming)
        checked = replace(CheckedWindow(500, True), rules=(rule,))
        (observation,) = of_window(checked, POLICY, "t")
        _, confirmed, suspected = accumulated(
            Suspicions(), {"long|r": observation}, POLICY, model_version="v", at="t", is_new=True
        )
        assert (len(confirmed), len(suspected)) == ((1, 0) if overwhelming else (0, 1))


def test_another_champion_starts_anew():
    """Suspicions are of one model's traffic."""
    state, _, _ = _played([BORDERLINE])
    found = {f"long|{o.finding.name}": o for o in of_window(CheckedWindow(9, True, BORDERLINE), POLICY, "t")}  # fmt: skip
    after, confirmed, suspected = accumulated(
        state, found, POLICY, model_version="v2", at="t", is_new=True
    )
    assert (after.model_version, confirmed, len(suspected)) == ("v2", (), 1)


def test_the_evidence_of_nothing_is_at_most_one_on_average():
    """The calibrator's mean over uniform p-values, which Ville's inequality rests on."""
    p_values = (np.arange(200_000) + 0.5) / 200_000
    assert np.mean([e_value(p) for p in p_values]) == pytest.approx(1.0, abs=0.01)
    assert needed_evidence(POLICY) == pytest.approx(50.0)
