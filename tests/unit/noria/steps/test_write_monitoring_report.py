"""The page of a check."""

from datetime import timedelta

from tests.support.checks import drifting, whole_check


def test_the_report_is_one_page_that_shows_then_and_now():
    """What comes from the rows is text."""
    p, end = drifting()
    *_, report = whole_check(p, end + timedelta(hours=1))
    page = p.store.get(report.report_key).decode()
    assert page.startswith("<!doctype html>")
    assert page.count("data:image/svg+xml;base64,") == 3
    assert "<strong>x</strong>" in page
    assert "http" not in page.replace("http-equiv", "")
