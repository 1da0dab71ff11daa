"""The page of a check."""

import gzip
from dataclasses import replace
from datetime import timedelta

from noria.records.batch import BatchCounts, BatchOutcome
from noria.records.codec import to_bytes
from noria.storage.hashing import canonical_json
from noria.storage.hours import hour_name
from noria.storage.keys import OUTCOME, REPORT_HTML, batch_key, profile_key
from tests.support.checks import drifting, whole_check
from tests.support.production import START, Production, loan_rows, records_of


def test_the_report_is_one_page_that_shows_then_and_now():
    """What comes from the rows is text."""
    p, end = drifting()
    whole_check(p, end, "first")  # a course over checks needs two
    *_, report = whole_check(p, end + timedelta(hours=1))
    page = p.store.get(report.report_key).decode()
    assert page.startswith("<!doctype html>")
    assert page.count("data:image/svg+xml;base64,") == 3
    assert "<strong>x</strong>" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_page_of_few_answers_does_not_say_that_there_were_none():
    """They are counted two lines below."""
    p = Production()
    p.log(loan_rows(5, seed=9), START + timedelta(minutes=5))
    *_, report = whole_check(p, START + timedelta(hours=1))
    page = p.store.get(report.report_key).decode()
    assert "5 answers, insufficient data" in page
    assert "Too few answers in the window to compare columns" in page
    assert "No answers" not in page


def test_the_first_line_says_what_is_suspected_and_never_that_all_is_well():
    """Who reads only that must not be reassured; what waits too long is told."""
    p = Production()
    end = p.hours(4, shift=0.3)
    *_, report = whole_check(p, end)
    assert (report.health, report.overdue) == ("suspected", None)
    page = p.store.get(report.report_key).decode()
    first = page[page.index("<main>") : page.index("<table>")]
    assert "Suspected</strong>: drift is suspected, not confirmed yet: x, the prob" in first
    assert "a suspicion is no reason to train yet" in first
    assert not {"stable", "good", "healthy", "nothing"} & set(first.lower().split())
    *_, later = whole_check(p, end + timedelta(hours=25))
    assert later.overdue == end.isoformat()


def test_how_long_a_suspicion_may_wait_is_a_key_of_the_spec():
    """It is told after that."""
    p = Production(monitoring={"suspicion_hours": 2.0})
    end = p.hours(4, shift=0.3)
    found = [whole_check(p, end + timedelta(hours=hours))[3].overdue for hours in (0, 1, 3)]
    assert found == [None, None, end.isoformat()]


def test_the_first_line_of_a_healthy_model_says_so():
    """Nothing to do."""
    p = Production()
    *_, report = whole_check(p, p.hours(6))
    page = p.store.get(report.report_key).decode()
    assert "Healthy</strong>: nothing has moved, and quality holds by the estimate" in page


def test_the_page_of_a_batch_is_drawn_again_when_labels_of_its_rows_come():
    """With how good its answers were; one that has expired is passed over."""
    p = Production()
    rows, at = loan_rows(200, seed=5), START.isoformat()
    for job_id in ("j1", "expired"):
        ids = [f"{job_id}-{number}" for number in range(200)]
        p.file_rows(rows, ids, START, job_id=job_id)
        p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5)], START, by="record_id")
    outcome = BatchOutcome("loans", "j1", "k", "j1.csv", at, at, 0.0, "BatchCompleted", "done", 1)
    outcome = replace(outcome, counts=BatchCounts(200, 200, 0, 0, {}, (), ()))
    p.store.put(batch_key("loans", "j1", OUTCOME), to_bytes(outcome))
    whole_check(p, START + timedelta(hours=1))
    page = batch_key("loans", "j1", REPORT_HTML)
    text = p.store.get(page).decode()
    assert "How good the answers were" in text
    assert "Measured on 200 labels of these rows" in text
    assert not p.store.exists(batch_key("loans", "expired", REPORT_HTML))
    p.store.objects[page] = b"as it was"
    whole_check(p, START + timedelta(hours=2))  # no new labels
    assert p.store.get(page) == b"as it was"


def _service(*, n_failed=0, latency_ms=2.0, n=200, **alerts):
    p = Production(alerts=alerts)
    p.log(loan_rows(n - n_failed, seed=1), START, latency_ms=latency_ms)
    if n_failed:
        p.log(loan_rows(n_failed, seed=2), START, failed=True)
    *_, report = whole_check(p, START + timedelta(hours=1))
    return report.service


def test_requests_that_fail_or_wait_are_told_with_the_bound():
    """More than 5 % of them, or a p95 above 100 ms, unless the spec says otherwise."""
    assert _service() is None
    assert _service(n_failed=10) is None
    failed = "5.5% of 200 requests failed, more than 5% (alerts.max_failed_fraction)"
    assert _service(n_failed=11) == failed
    assert _service(n_failed=11, max_failed_fraction=0.1) is None
    slow = _service(latency_ms=150.0)
    assert slow.startswith("the slowest 5 % were answered in 1")
    assert slow.endswith("above 100 ms (alerts.max_latency_ms)")
    assert _service(latency_ms=150.0, max_latency_ms=200.0) is None
    assert len(_service(n_failed=11, latency_ms=150.0).split("; ")) == 2


def test_rows_of_files_are_no_requests_that_were_answered():
    """A file of 3,000 rows must not hide that half of the requests fail."""
    p = Production()
    p.log(loan_rows(100, seed=1), START)
    p.log(loan_rows(100, seed=2), START, failed=True)
    window = p.reference.of(records_of(loan_rows(3000, seed=3)))
    window = replace(window, latency=p.reference.empty().latency)
    body = gzip.compress(canonical_json(window.to_dict()))
    p.store.put(profile_key("loans", "v1", hour_name(START), "batch-j1"), body)
    *_, report = whole_check(p, START + timedelta(hours=1))
    assert report.service.startswith("50.0% of 200 requests failed")


def test_few_requests_say_nothing_of_the_service():
    """Half of two is chance."""
    assert _service(n_failed=10, n=20) is None
