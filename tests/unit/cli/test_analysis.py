"""What `noria analyze` refuses before it asks anybody; the rest is in tests/integration."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cli.analysis import Analysis, _reason, summary_table
from cli.display import console
from cli.main import app
from noria.records.codec import to_bytes
from noria.records.drift import AnalysisReport, ColumnFinding, WrittenFeatures
from noria.storage.keys import DRIFT, REPORT_HTML, analysis_key
from tests.support.alerts import Topic
from tests.support.fakes import MemoryArtifacts, MemoryClaims
from tests.support.production import loan_spec


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["nowhere.csv"], "no such file: nowhere.csv"),
        (["s3:///folder/"], "names no bucket; write s3://BUCKET/FOLDER/"),
        (["s3://a/b", "s3://a/c"], "no such file: s3://a/b, s3://a/c"),
    ],
)
def test_rows_that_are_nowhere_are_named(rows, said):
    """One line, status 1."""
    result = CliRunner().invoke(app, ["analyze", "customers", *rows])
    assert result.exit_code == 1
    assert said in result.output.replace("\n", " ")


def test_a_failed_job_is_told_by_its_own_words():
    """Not by all that Step Functions knows of it; words that are no JSON are shown as they are."""
    assert _reason({"cause": '{"Id": "jr_1", "ErrorMessage": "no disk"}'}) == "no disk"
    assert _reason({"cause": "States.Timeout"}) == "States.Timeout"
    assert _reason({"cause": None}) == "None"


def test_each_column_is_shown_once_with_its_surest_test():
    """Ten of them; tests that only inform are on the page."""
    findings = tuple(
        ColumnFinding(f"c{n}", name, 0.3, threshold, None, None, n == 0, "then")
        for n in range(12)
        for name, threshold in (("ks", 0.1), ("missing_share", 0.2), ("psi", None))
    )
    report = AnalysisReport(
        "p", "drift", model_version="v", n_rows=1200, n_refused=1, findings=findings
    )
    with console.capture() as captured:
        console.print(summary_table(report))
    text = captured.get()
    assert "1,200 rows" in text
    assert text.count(" ks ") == 10
    assert "psi" not in text
    assert "missing_share" not in text


def test_what_a_far_job_wrote_is_named_by_the_addresses_that_were_given(monkeypatch):
    """The job stores no addresses: the emulator's sees folders of its machine, soon gone."""
    store = MemoryArtifacts()
    target = SimpleNamespace(artifacts=store, outputs={"DataBucket": "data"})
    work = Analysis(target, loan_spec(), "v1", features=True)
    report = AnalysisReport("loans", "stable", features=WrittenFeatures(506))
    key = analysis_key("loans", work.analysis_id, "{}")
    store.put(key.format(DRIFT), to_bytes(report))
    end = SimpleNamespace(status="SUCCEEDED")
    monkeypatch.setattr("cli.analysis.follow_execution", lambda *_: end)
    found = work.on_spark("s3://data/rows/", workers=2)
    assert found.rows == "s3://data/rows/"
    assert found.features == WrittenFeatures(506, f"s3://data/{key.format('features')}")


def test_rows_that_have_drifted_raise_the_alert_of_a_batch_once():
    """Columns by name, rows by number, the page beside the analysis; never a cell."""
    topic = Topic()
    target = SimpleNamespace(
        artifacts=MemoryArtifacts(), claims=MemoryClaims(), alert_topic=topic, outputs={}
    )
    work = Analysis(target, loan_spec(), "v1", features=False)
    report = AnalysisReport("loans", "drift", n_rows=1200, drifted=("x", "kind"))
    for _ in range(2):
        work.tell(report, b"page")
    (alert,) = topic.alerts
    assert (alert.event, alert.text) == (
        "BatchDrifted",
        "1,200 rows: these rows differ from training in x, kind",
    )
    key = analysis_key("loans", work.analysis_id, REPORT_HTML)
    assert dict(alert.links)["report"] == key
    assert target.artifacts.get(key) == b"page"
