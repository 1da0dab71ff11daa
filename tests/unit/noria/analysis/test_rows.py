"""What is kept of rows, and what is said of them; whole models are in tests/training/projects."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from noria.analysis.rows import RowsProfile, compared, kept_columns, recognised
from noria.records.drift import RefusedRows
from tests.support.production import CLASSES, Production, loan_rows, records_of


@pytest.fixture(scope="module")
def loans():
    """A model with two numbers, a category and a text."""
    return Production(monitoring={"min_rows": 100})


def _profile(loans, n, **how):
    return RowsProfile(loans.reference.of(records_of(loan_rows(n, seed=5, **how))))


@pytest.mark.parametrize(
    ("n", "shift", "verdict"),
    [(99, 3.0, "insufficient_data"), (2000, 0.0, "stable"), (2000, 1.0, "drift")],
)
def test_rows_are_stable_or_drifted_or_too_few_to_say(loans, n, shift, verdict):
    """Too few are never "stable", however far they moved."""
    found = compared(loans.spec, loans.reference, _profile(loans, n, shift=shift), "v1")
    assert (found.verdict, found.n_rows) == (verdict, n)
    assert ("x" in found.drifted) == (verdict == "drift")
    assert "z" not in found.drifted
    assert found.columns["x"].now.n == n
    assert bool(found.findings) == (verdict != "insufficient_data")


def test_answers_to_rows_that_the_model_was_trained_on_are_not_compared(loans):
    """It is surer of them; their columns are compared as ever."""
    found = compared(loans.spec, loans.reference, _profile(loans, 2000, shift=1.0), "v1")
    known = recognised(found, ("a.csv",))
    assert (known.verdict, known.trained_on) == ("drift", ("a.csv",))
    assert "x" in known.drifted
    assert any(name.startswith("(") for name in found.drifted)
    assert not any(name.startswith("(") for name in known.drifted)
    of_answers = [part for part in found.findings if part.column.startswith("(")]
    answers = replace(found, findings=tuple(of_answers), drifted=("(confidence)",))
    assert recognised(answers, ("a.csv",)).verdict == "stable"
    assert recognised(found, ()) is found


def test_refused_rows_are_counted_by_field_with_one_reason_whatever_their_order(loans):
    """The alphabetically first: workers finish in any order."""
    faults = [
        [{"field": "x", "reason": "must be a number, got 'b'"}],
        [{"field": "x", "reason": "must be a number, got 'a'"}, {"field": "z", "reason": "no"}],
    ]
    merged = []
    for order in (faults, faults[::-1]):
        total = RowsProfile(loans.reference.empty())
        for row in order:
            part = RowsProfile(loans.reference.empty())
            part.refuse(row)
            total.add(part)
        merged.append(total)
    for total in merged:
        assert total.n_refused == 2
        assert total.refused == {"x": (2, "must be a number, got 'a'"), "z": (1, "no")}
    found = compared(loans.spec, loans.reference, merged[0], "v1")
    assert found.refused["x"] == RefusedRows(2, "must be a number, got 'a'")


def test_ids_and_the_target_stay_beside_features(tickets, customers):
    """Each once."""
    for spec in (tickets, customers):
        kept = kept_columns(spec)
        assert kept[-1] == spec.target.column
        assert len(kept) == len(set(kept))
        assert set(spec.batch.id_columns) <= set(kept)


def test_expected_quality_does_not_depend_on_how_the_log_was_cut(loans):
    """Shares are counted in whole units."""
    records = records_of(loan_rows(3000, seed=9))
    whole = loans.reference.of(records).expected
    for n_cuts in (7, 100):
        total = loans.reference.empty()
        for part in np.array_split(np.arange(len(records)), n_cuts):
            total.add(loans.reference.of([records[i] for i in part[::-1]]))
        assert (total.expected == whole).all()
    shares = np.array(
        [[record.answer.probabilities[name] for name in CLASSES] for record in records]
    )
    assert whole.sum(axis=1) == pytest.approx(shares.sum(axis=0), abs=1e-5)


def test_profiles_of_earlier_versions_are_read(loans):
    """They hold sums of probabilities, and of squares as floats."""
    profile = loans.reference.of(records_of(loan_rows(300, seed=4)))
    written = profile.to_dict()
    written["expected"] = profile.expected.tolist()
    del written["shares"]
    for column in written["columns"].values():
        for name in ("total", "squares"):
            if name in column:
                column[name] = float(Fraction(column[name]))
    found = loans.reference.read(written)
    assert (found.expected == profile.expected).all()
    assert found.columns["x"].mean == pytest.approx(profile.columns["x"].mean)
