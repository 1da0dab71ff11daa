"""The page of a closed job."""

import pytest

from noria.steps.write_batch_report import WriteBatchReportRequest, write_batch_report
from tests.support.jobs import Jobs, csv_file
from tests.support.trained import tiny_bundle


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


def test_the_page_says_that_class_shares_differ_and_what_was_done_about_it():
    """With the shares of training beside those of the batch."""
    model = {"form": "linear", "link": "softmax", "n_outputs": 1,
             "calibration": {"slope": 1.0, "shift": [0.0, -11.0]}}  # fmt: skip
    bundle = tiny_bundle(
        task="classification", classes=["no", "yes"], model=model,
        decision_weights=[1.0, 1.0], decision_known_shares=[0.9, 0.1],
    )  # fmt: skip
    jobs = Jobs(bundle, prior_shift="correct")
    jobs.run(csv_file(500))
    result = write_batch_report(
        WriteBatchReportRequest("p", "j1"), spec=jobs.spec, artifacts=jobs.store
    )
    page = jobs.store.get(result.report_key).decode()
    assert "they differ from training, and the probabilities are corrected for it" in page
    assert '<tr><td>no</td><td class="n">90.0 %</td>' in page


def test_the_page_shows_how_the_rows_differ_and_is_drawn_again_without_it():
    """The check expires before the results; an erasure draws the page after that too."""
    jobs = Jobs(is_watched=True)
    jobs.run(csv_file(250, n_values=4))

    def page():
        request = WriteBatchReportRequest("p", "j1")
        made = write_batch_report(request, spec=jobs.spec, artifacts=jobs.store)
        return jobs.store.get(made.report_key).decode()

    assert "These rows beside those of training" in page()
    assert "Grey: training. Blue: this file." in page()
    del jobs.store.objects[jobs.outcome().drift_key]
    assert "These rows beside those of training" not in page()
    assert "these rows differ from training in x" in page()
