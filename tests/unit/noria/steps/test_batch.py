"""A batch job from file to results, in memory: plan, score, close, report."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet
import pytest

from noria.aliases import Promotion
from noria.batch.engine import BatchModels
from noria.data.versions import decode_rows
from noria.errors import BatchCancelledError
from noria.inference.predictor import Predictor
from noria.layout import CANCELLED, OUTCOME, PLAN, batch_key
from noria.registry.versions import write_version
from noria.spec.loader import parse_spec
from noria.spec.model import BusinessValueSection
from noria.steps.close_batch import CloseBatchRequest, close_batch
from noria.steps.plan_batch import PlanBatchRequest, plan_batch
from noria.steps.score_part import ScorePartRequest, score_part
from noria.steps.write_batch_report import WriteBatchReportRequest, write_batch_report
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.trained import COLUMN, tiny_bundle

SPEC = """
[project]
name = "p"
task = "regression"
description = "one number"
[dataset.columns]
x = { type = "number", aliases = ["X"] }
[target]
column = "y"
[split]
kind = "random"
[[features]]
name = "n"
kind = "numeric"
columns = ["x"]
[[candidates]]
name = "c"
algorithm = "linear_regression"
[evaluation]
primary_metric = "rmse"
metrics = ["rmse"]
[batch]
id_columns = ["id"]
rows_per_part = 100
max_refused_fraction = 0.2
"""


class Jobs:
    """A project with a champion, and its batch jobs."""

    def __init__(self, bundle=None, **batch):
        spec = parse_spec(SPEC, source="p.toml")
        self.spec = spec.model_copy(update={"batch": spec.batch.model_copy(update=batch)})
        self.store, self.aliases = MemoryArtifacts(), MemoryAliases()
        self.clock, self.models = SteppingClock(), BatchModels(self.store)
        self.promote("v1", bundle or tiny_bundle())

    def promote(self, version, bundle):
        facts = {"created_at": "2026-01-01T00:00:00+00:00", "lineage": {}}
        write_version(self.store, "p", version, bundle, facts)
        revision = self.aliases.read("p").revision
        at = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
        self.aliases.apply(Promotion("p", version, version, revision, "manual", "t", "t", at))

    def plan(self, body, name="rows.csv", *, owner="e1", folder="j1"):
        key = f"batch-inbox/p/{folder}/{name}" if folder else f"batch-inbox/p/{name}"
        self.store.put(key, body)
        return plan_batch(
            PlanBatchRequest("p", key, "etag", owner),
            spec=self.spec, store=self.store, aliases=self.aliases, clock=self.clock,
        )  # fmt: skip

    def score(self, job_id, part):
        request = ScorePartRequest("p", job_id, part)
        return score_part(request, spec=self.spec, artifacts=self.store, models=self.models)

    def close(self, job_id, failure=None):
        request = CloseBatchRequest("p", job_id, failure)
        return close_batch(request, spec=self.spec, store=self.store, clock=self.clock)

    def run(self, body, name="rows.csv", **more):
        plan = self.plan(body, name, **more)
        for part in range(plan.n_parts):
            self.score(plan.job_id, part)
        return self.close(plan.job_id)

    def answers(self, closed):
        return list(csv.DictReader(io.StringIO(self.store.get(closed.result_key).decode())))


def _csv(n, bad=()):
    rows = (f"i{k},{'much' if k in bad else k % 10}\n" for k in range(n))
    return ("id,X\n" + "".join(rows)).encode()


def test_every_row_is_answered_in_order_with_its_id():
    """Several parts; an alias of a column is the column."""
    jobs = Jobs()
    closed = jobs.run(_csv(250))
    answers = jobs.answers(closed)
    assert closed.outcome == "BatchCompleted"
    assert [a["id"] for a in answers] == [f"i{k}" for k in range(250)]
    assert [float(a["prediction"]) for a in answers] == [2.0 * (k % 10) + 1 for k in range(250)]
    assert [int(a["line"]) for a in answers] == list(range(2, 252))


def test_bad_rows_are_named_and_the_good_ones_answered():
    """With line, reason and cells as they came."""
    jobs = Jobs()
    closed = jobs.run(_csv(150, bad={3, 120}))
    refused = decode_rows(jobs.store.get(closed.refused_key))
    assert [row["line"] for row in refused] == [5, 122]
    assert refused[0]["cells"] == {"id": "i3", "x": "much"}
    assert refused[0]["errors"] == [{"field": "x", "reason": "must be a number, got 'much'"}]
    assert len(jobs.answers(closed)) == 148


def test_too_many_bad_rows_withhold_the_results():
    """The spec says how many; the refused rows are written all the same."""
    jobs = Jobs()
    closed = jobs.run(_csv(100, bad=set(range(21))))
    assert (closed.outcome, closed.result_key) == ("BatchRejected", None)
    assert "21.0% refused, at most 20.0% tolerated" in closed.summary
    assert len(decode_rows(jobs.store.get(closed.refused_key))) == 21


def test_parts_scored_again_and_closed_again_change_nothing():
    """Same keys, same bytes: nothing doubles."""
    jobs = Jobs()
    first = jobs.run(_csv(250, bad={7}))
    before = dict(jobs.store.objects)
    for part in (2, 0, 1, 0):
        jobs.score("j1", part)
    assert jobs.close("j1") == first
    assert jobs.store.objects == before


def test_the_plan_pins_the_model_whoever_is_promoted_meanwhile():
    """One file, one model version."""
    jobs = Jobs()
    plan = jobs.plan(_csv(150))
    jobs.score(plan.job_id, 0)
    jobs.promote("v2", tiny_bundle(columns={"x": {**COLUMN, "min": 9.5}}))
    jobs.score(plan.job_id, 1)
    assert len(jobs.answers(jobs.close(plan.job_id))) == 150


def test_the_same_event_again_is_one_job_and_a_retry_is_the_same():
    """Another execution is told; the same one goes on."""
    jobs = Jobs()
    first = jobs.plan(_csv(10), owner="e1")
    assert jobs.plan(_csv(10), owner="e2").verdict == "duplicate"
    assert jobs.plan(_csv(10), owner="e1") == first
    del jobs.store.objects[batch_key("p", "j1", PLAN)]  # killed before it had written its plan
    assert jobs.plan(_csv(10), owner="e1") == first


def test_a_loose_file_is_a_job_by_its_name_and_content():
    """Overwritten with other content, it is another one."""
    jobs = Jobs()
    assert jobs.plan(_csv(10), folder="").job_id == jobs.plan(_csv(10), folder="").job_id


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("rows.csv", b"", "empty"),
        ("rows.csv", b"id,X\n", "no records"),
        ("rows.xlsx", b"PK", "unknown format"),
        ("rows.csv", b"a,b\n1,2\n", "columns ['x'] are missing"),
        ("rows.csv", b"X;id\n1;2\n", "delimiter"),
        ("rows.csv.gz", gzip.compress(b"X\n" + b"1\n" * 500)[:-9], "truncated"),
        ("rows.csv.gz", b"X\n1\n", "damaged"),
        ("rows.parquet", b"PAR1 not", "not a readable Parquet"),
        ("rows.csv", b"X\n" + b"1\n" * 3000, "more than 1,000 rows"),
        ("rows.csv", b"X\n" + b"1" * 40_000, "bytes uncompressed"),
    ],
    ids=["0-byte", "header only", "suffix", "schema", "delimiter", "truncated", "no gzip",
         "no parquet", "rows", "bytes"],
)  # fmt: skip
def test_a_file_that_cannot_be_scored_is_refused_with_the_reason(name, body, reason):
    """At the plan: nothing is scored."""
    jobs = Jobs(max_rows=1000, max_bytes=20_000)
    plan = jobs.plan(body, name)
    assert (plan.verdict, plan.n_parts) == ("rejected", 0)
    assert reason in " ".join(plan.reasons)
    closed = jobs.close(plan.job_id)
    assert (closed.outcome, reason in closed.summary) == ("BatchRejected", True)


def test_a_gzip_bomb_is_refused_before_it_is_unpacked():
    """By what it grows to, not by what it is in the end."""
    jobs = Jobs(max_rows=100_000_000)
    bomb = gzip.compress(b"X\n" + (b"1" * 999 + b"\n") * 60_000)
    plan = jobs.plan(bomb, "bomb.csv.gz")
    assert plan.verdict == "rejected"
    assert "grows more than 200 times" in plan.reasons[0]


def test_without_a_champion_the_file_is_refused():
    """It says what to do."""
    jobs = Jobs()
    jobs.aliases = MemoryAliases()
    assert "noria train p" in jobs.plan(_csv(3)).reasons[0]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv.gz", "rows.parquet"])
def test_other_formats_give_the_same_answers(name):
    """JSON lines, gzip, Parquet."""
    rows = [{"id": f"i{k}", "x": float(k % 10)} for k in range(120)]
    bodies = {
        "rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "rows.csv.gz": gzip.compress(_csv(120)),
        "rows.parquet": _parquet(rows),
    }
    jobs = Jobs()
    answers = jobs.answers(jobs.run(bodies[name], name))
    assert [(a["id"], float(a["prediction"])) for a in answers] == [
        (row["id"], 2 * row["x"] + 1) for row in rows
    ]


def _parquet(rows):
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def test_results_may_be_json_lines_or_parquet_and_overwritten():
    """One row each, whatever the form; the name is the file's where the spec says so."""
    jobs = Jobs(format="jsonl", results="overwritten")
    closed = jobs.run(_csv(120))
    assert closed.result_key == "batch-results/p/rows.jsonl"
    lines = [json.loads(line) for line in jobs.store.get(closed.result_key).splitlines()]
    assert lines[119] == {"line": 121, "id": "i119", "prediction": 19.0}
    jobs = Jobs(format="parquet")
    table = pyarrow.parquet.read_table(io.BytesIO(jobs.store.get(jobs.run(_csv(250)).result_key)))
    assert table.column("prediction").to_pylist() == [2.0 * (k % 10) + 1 for k in range(250)]


def test_a_limit_answers_the_first_rows_only():
    """A try before the whole."""
    jobs = Jobs()
    jobs.store.put(batch_key("p", "j1", "job.json"), b'{"limit": 7}')
    assert len(jobs.answers(jobs.run(_csv(250)))) == 7


def test_a_cancelled_job_scores_no_further_part_and_writes_no_results():
    """What was asked for."""
    jobs = Jobs()
    plan = jobs.plan(_csv(250))
    jobs.score(plan.job_id, 0)
    jobs.store.put(batch_key("p", "j1", CANCELLED), b"{}")
    with pytest.raises(BatchCancelledError):
        jobs.score(plan.job_id, 1)
    closed = jobs.close(plan.job_id, failure="States.ExceedToleratedFailureThreshold")
    assert (closed.outcome, closed.result_key) == ("BatchCancelled", None)


def test_a_part_that_is_missing_fails_the_batch():
    """Never fewer rows without a word."""
    jobs = Jobs()
    plan = jobs.plan(_csv(250))
    jobs.score(plan.job_id, 0)
    with pytest.raises(Exception, match="was never scored"):
        jobs.close(plan.job_id)
    assert jobs.close(plan.job_id, failure="worker died").outcome == "BatchFailed"


def test_ids_that_a_spreadsheet_would_run_are_inert_and_numbers_stay():
    """A leading apostrophe, as with all such cells."""
    jobs = Jobs()
    body = b"id,X\n=1+1,1\n-5,1\n@x,1\n+44 20,1\n"
    assert [a["id"] for a in jobs.answers(jobs.run(body))] == ["'=1+1", "-5", "'@x", "'+44 20"]


def test_worth_and_bands_come_with_each_row_and_add_up():
    """Edges of training first; of earlier batches once there are enough values."""
    columns = {"x": {**COLUMN, "max": 1e9}}
    worth = {"kind": "business_value", "positive": 0, "contact": None, "amount": "x",
             "edges": [10.0, 20.0], "bands": ["low", "medium", "high"]}  # fmt: skip
    jobs = Jobs(tiny_bundle(columns=columns, postprocess=worth), priorities={"high": "call"})
    section = BusinessValueSection(kind="business_value", amount="x")
    jobs.spec = jobs.spec.model_copy(update={"postprocess": section})
    answers = jobs.answers(jobs.run(_csv(250)))
    model = Predictor(tiny_bundle(columns=columns, postprocess=worth))
    for k, answer in enumerate(answers[:20]):
        said = model.answer({"x": float(k % 10)})
        assert float(answer["business_value"]) == pytest.approx(said["business_value"])
        assert answer["band"] == said["band"]
        assert answer["priority"] == ("call" if said["band"] == "high" else "")
    counts = json.loads(jobs.store.get(batch_key("p", "j1", OUTCOME)))["counts"]["values"]
    total = sum(float(a["business_value"]) for a in answers)
    assert counts["total"] == pytest.approx(total)
    assert sum(band["total"] for band in counts["bands"].values()) == pytest.approx(total)
    jobs.plan(_csv(250), folder="j2")
    edges = json.loads(jobs.store.get(batch_key("p", "j2", PLAN)))["edges"]
    assert edges["from"] == "1 earlier batches"
    values = sorted(float(a["business_value"]) for a in answers)
    assert edges["at"][0] == pytest.approx(values[int(0.33 * 250)], abs=values[-1] / 50)


@pytest.mark.parametrize("body", [_csv(150, bad={3}), b"a,b\n1,2\n"], ids=["scored", "refused"])
def test_the_page_shows_the_outcome_and_runs_nothing(body):
    """Also of a file that was refused as a whole."""
    jobs = Jobs()
    closed = jobs.run(body.replace(b"i3,", b"<script>alert(1)</script>,"))
    request = WriteBatchReportRequest("p", "j1")
    result = write_batch_report(request, spec=jobs.spec, artifacts=jobs.store)
    page = jobs.store.get(result.report_key).decode()
    assert closed.outcome.removeprefix("Batch") in page
    assert "<script" not in page
