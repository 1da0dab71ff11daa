"""The page of an analysis: what it says, and that rows cannot write into it."""

import re
from dataclasses import replace

import pytest

from noria.analysis.rows import RowsProfile, compared
from noria.records.drift import WrittenFeatures
from noria.reporting.analysis_report import render
from tests.support.production import Production, loan_rows, records_of


def _finding(n, shift):
    loans = Production(monitoring={"min_rows": 100})
    rows = loan_rows(n, seed=5, shift=shift)
    profile = RowsProfile(loans.reference.of(records_of(rows)))
    profile.refuse([{"field": "x", "reason": "must be a number, got '<script>'"}])
    found = compared(loans.spec, loans.reference, profile, "v1")
    return replace(found, rows="moved.csv", features=WrittenFeatures(n, "f.parquet"))


def test_the_page_shows_what_moved_and_why_rows_were_refused():
    """Every test that decides, the drifted ones marked; no script, no address but its pictures."""
    page = render(_finding(2000, 1.5)).decode()
    assert '<span class="verdict drift">drift</span>' in page
    assert "<strong>x</strong>" in page
    assert "2,000 rows" in page
    assert "f.parquet" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "data:image/svg+xml;base64," in page
    assert not re.search(r'(src|href)="(?!data:)', page)


@pytest.mark.parametrize("n", [1, 99])
def test_too_few_rows_are_said_to_be_too_few(n):
    """No test is shown; nothing is called stable."""
    page = render(_finding(n, 1.5)).decode()
    assert "insufficient data</span>: at least 100 rows are needed" in page
    assert "None was made." in page
    assert ">stable<" not in page
