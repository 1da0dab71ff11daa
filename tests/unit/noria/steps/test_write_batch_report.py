"""The page of a closed job."""

import pytest

from noria.steps.write_batch_report import WriteBatchReportRequest, write_batch_report
from tests.support.jobs import Jobs, csv_file


@pytest.mark.parametrize("body", [csv_file(150, bad={3}), b"a,b\n1,2\n"], ids=["scored", "refused"])
def test_the_page_shows_the_outcome_and_runs_nothing(body):
    """Also of a file that was refused as a whole."""
    jobs = Jobs()
    closed = jobs.run(body.replace(b"i3,", b"<script>alert(1)</script>,"))
    request = WriteBatchReportRequest("p", "j1")
    result = write_batch_report(request, spec=jobs.spec, artifacts=jobs.store)
    page = jobs.store.get(result.report_key).decode()
    assert closed.outcome.removeprefix("Batch") in page
    assert "<script" not in page
