"""A batch job from file to results, in memory: plan, score, close, report."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet
import pytest

from noria.columnar.engine import BatchModels
from noria.data.versions import decode_rows
from noria.errors import BatchCancelledError
from noria.inference.predictor import Predictor
from noria.records.alias import Promotion
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from noria.spec.loader import parse_spec
from noria.spec.model import BusinessValueSection
from noria.steps.close_batch import CloseBatchRequest, close_batch
from noria.steps.plan_batch import PlanBatchRequest, plan_batch
from noria.steps.score_part import ScorePartRequest, score_part
from noria.steps.write_batch_report import WriteBatchReportRequest, write_batch_report
from noria.storage.keys import CANCELLED, OUTCOME, PLAN, batch_key
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
        write_version(self.store, "p", version, bundle, VersionFacts())
        revision = self.aliases.read("p").revision
        at = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
        self.aliases.apply(Promotion("p", version, version, revision, "manual", "t", "t", at))

    def plan(
        self, body, name="rows.csv", *, owner="e1", folder="j1", event="s1", limit=None, is_job=True
    ):
        self.key = f"batch-inbox/p/{folder}/{name}" if folder else f"batch-inbox/p/{name}"
        self.store.put(self.key, body)
        if is_job:
            job = json.dumps({"filename": name, "limit": limit}).encode()
            self.store.put(batch_key("p", folder, "job.json"), job)
        return plan_batch(
            PlanBatchRequest("p", self.key, event, owner),
            spec=self.spec, store=self.store, aliases=self.aliases, clock=self.clock,
        )  # fmt: skip

    def score(self, job_id, part):
        request = ScorePartRequest("p", job_id, part)
        return score_part(request, spec=self.spec, artifacts=self.store, models=self.models)

    def close(self, failure=None):
        request = CloseBatchRequest("p", self.key, "s1", failure)
        return close_batch(request, spec=self.spec, store=self.store, clock=self.clock)

    def run(self, body, name="rows.csv", **more):
        plan = self.plan(body, name, **more)
        for part in range(plan.n_parts):
            self.score(plan.job_id, part)
        return self.close()

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
    assert jobs.close() == first
    assert jobs.store.objects == before


def test_the_plan_pins_the_model_whoever_is_promoted_meanwhile():
    """One file, one model version."""
    jobs = Jobs()
    plan = jobs.plan(_csv(150))
    jobs.score(plan.job_id, 0)
    jobs.promote("v2", tiny_bundle(columns={"x": {**COLUMN, "min": 9.5}}))
    jobs.score(plan.job_id, 1)
    assert len(jobs.answers(jobs.close())) == 150


def test_the_same_event_again_is_one_job_and_a_retry_is_the_same():
    """Another execution is told; the same one goes on."""
    jobs = Jobs()
    first = jobs.plan(_csv(10), owner="e1")
    assert jobs.plan(_csv(10), owner="e2").verdict == "duplicate"
    assert jobs.plan(_csv(10), owner="e1") == first
    del jobs.store.objects[batch_key("p", "j1", PLAN)]  # killed before it had written its plan
    assert jobs.plan(_csv(10), owner="e1") == first


def test_a_loose_file_is_a_job_by_its_name_and_upload():
    """Put there again it is another one; a folder of its own makes it no job that was asked for."""
    jobs = Jobs()
    first = jobs.plan(_csv(10), folder="2026", is_job=False)
    assert jobs.plan(_csv(10), folder="2026", is_job=False, owner="e2").verdict == "duplicate"
    others = [
        jobs.plan(_csv(10), folder="2026", is_job=False, owner="e3", event="s2"),
        jobs.plan(_csv(10), "west.csv", folder="2026", is_job=False, owner="e4"),
    ]
    assert {plan.verdict for plan in others} == {"planned"}
    assert len({first.job_id, *(plan.job_id for plan in others)}) == 3


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
    closed = jobs.close()
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
    for body in (_csv(250), b"id,X\n" + b'"a\nb",1\n' * 250):
        for limit, n_parts in ((7, 1), (100, 1), (130, 2)):
            jobs = Jobs()
            assert len(jobs.answers(jobs.run(body, limit=limit))) == limit
            assert jobs.plan(body, limit=limit).n_parts == n_parts


def test_a_cancelled_job_scores_no_further_part_and_writes_no_results():
    """What was asked for."""
    jobs = Jobs()
    plan = jobs.plan(_csv(250))
    jobs.score(plan.job_id, 0)
    jobs.store.put(batch_key("p", "j1", CANCELLED), b"{}")
    with pytest.raises(BatchCancelledError):
        jobs.score(plan.job_id, 1)
    closed = jobs.close(failure="States.ExceedToleratedFailureThreshold")
    assert (closed.outcome, closed.result_key) == ("BatchCancelled", None)


def test_a_part_that_is_missing_fails_the_batch():
    """Never fewer rows without a word."""
    jobs = Jobs()
    plan = jobs.plan(_csv(250))
    jobs.score(plan.job_id, 0)
    with pytest.raises(Exception, match="was never scored"):
        jobs.close()
    assert jobs.close(failure="worker died").outcome == "BatchFailed"


def test_ids_that_a_spreadsheet_would_run_are_inert_and_numbers_stay():
    """A leading apostrophe, as with all such cells."""
    jobs = Jobs()
    body = b"id,X\n=1+1,1\n-5,1\n@x,1\n+44 20,1\nx;=1+1,1\n"
    assert [a["id"] for a in jobs.answers(jobs.run(body))] == [
        "'=1+1", "-5", "'@x", "'+44 20", "'x;=1+1",
    ]  # fmt: skip


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
        assert float(answer["business_value"]) == pytest.approx(said.added["business_value"])
        assert answer["band"] == said.added["band"]
        assert answer["priority"] == ("call" if said.added["band"] == "high" else "")
    counts = json.loads(jobs.store.get(batch_key("p", "j1", OUTCOME)))["counts"]["values"]
    total = sum(float(a["business_value"]) for a in answers)
    assert counts["total"] == pytest.approx(total)
    assert sum(band["total"] for band in counts["bands"].values()) == pytest.approx(total)
    jobs.plan(_csv(250), folder="j2")
    edges = json.loads(jobs.store.get(batch_key("p", "j2", PLAN)))["edges"]
    assert edges["source"] == "1 earlier batches"
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


CATEGORY = {"type": "category", "required": False, "max_length": 9, "seen": None, "pii": False,
            "min": None, "max": None}  # fmt: skip


def _with_category(required=False):
    """A bundle that also takes a category (or a required text), which its one feature ignores."""
    kind = {**CATEGORY, "type": "text" if required else "category", "required": required}
    return tiny_bundle(columns={"x": COLUMN, "k": kind})


@pytest.mark.parametrize("required", [False, True], ids=["category", "required text"])
@pytest.mark.parametrize("tail", [b"a\n", b"\n"], ids=["broken", "blank"])
def test_a_part_without_a_readable_row_leaves_the_others(required, tail):
    """The last line of a file is often strange."""
    jobs = Jobs(_with_category(required))
    closed = jobs.run(b"x,k\n" + b"1,a\n" * 100 + tail)
    assert closed.outcome == "BatchCompleted"
    assert len(jobs.answers(closed)) == 100


def test_a_failed_plan_has_an_outcome_and_a_new_upload_is_a_new_job():
    """Nobody waits for ever, and trying again works."""
    jobs = Jobs()
    jobs.key = "batch-inbox/p/rows.csv"
    assert jobs.close(failure="Runtime.ExitError: out of memory").outcome == "BatchFailed"
    again = jobs.plan(_csv(10), folder="", is_job=False, owner="e2", event="s2")
    assert again.verdict == "planned"


def test_a_slow_attempt_does_not_replace_the_plan_that_others_follow():
    """Two attempts of one execution: the first plan counts, and its model."""
    jobs = Jobs()
    first = jobs.plan(_csv(150))
    kept = jobs.store.get(batch_key("p", "j1", PLAN))
    jobs.promote("v2", tiny_bundle(columns={"x": {**COLUMN, "min": 9.5}}))
    exists = jobs.store.exists
    jobs.store.exists = lambda key: False if key.endswith(PLAN) else exists(key)
    assert jobs.plan(_csv(150)) == first
    assert jobs.store.get(batch_key("p", "j1", PLAN)) == kept


def test_json_lines_know_aliases_and_marks_and_refuse_strangers():
    """As training reads them."""
    jobs = Jobs(max_refused_fraction=0.5)
    body = b'\xef\xbb\xbf{"id": "a", "X": 1}\n{"id": "b", "x": 2}\n{"id": "c", "other": 3}\n'
    closed = jobs.run(body, "rows.jsonl")
    assert [float(a["prediction"]) for a in jobs.answers(closed)] == [3.0, 5.0]
    (refused,) = decode_rows(jobs.store.get(closed.refused_key))
    assert "none of the model's columns" in refused["errors"][0]["reason"]


def test_of_two_names_of_one_column_the_first_counts():
    """The other one is a column nobody asked for."""
    jobs = Jobs()
    columns = dict(jobs.spec.dataset.columns)
    columns["x"] = columns["x"].model_copy(update={"aliases": ("X", "Y")})
    dataset = jobs.spec.dataset.model_copy(update={"columns": columns})
    jobs.spec = jobs.spec.model_copy(update={"dataset": dataset})
    answers = jobs.answers(jobs.run(b"id,Y,X\n1,5,1\n"))
    assert float(answers[0]["prediction"]) == 3.0


def test_an_id_named_like_an_answer_keeps_both():
    """Neither overwrites the other."""
    jobs = Jobs(id_columns=("line", "prediction"))
    (answer,) = jobs.answers(jobs.run(b"line,prediction,x\nA,B,1\n"))
    assert (answer["line"], answer["id_line"]) == ("2", "A")
    assert (answer["prediction"], answer["id_prediction"]) == ("3", "B")


def test_records_are_counted_not_lines():
    """Quoted line ends are part of one."""
    jobs = Jobs(max_rows=150)
    body = b"id,x\n" + b'"a\nb\nc",1\n' * 120
    assert len(jobs.answers(jobs.run(body))) == 120


def test_rows_of_a_single_column_of_parquet_are_rows_also_where_they_are_empty():
    """A missing value is refused with its reason, not lost."""
    jobs = Jobs(max_refused_fraction=0.5)
    closed = jobs.run(_parquet([{"x": 1.0}, {"x": None}, {"x": 2.0}]), "rows.parquet")
    assert len(jobs.answers(closed)) == 2
    assert [row["line"] for row in decode_rows(jobs.store.get(closed.refused_key))] == [3]


def test_a_parquet_file_that_unfolds_is_refused_early():
    """A dictionary makes a small file any size."""
    jobs = Jobs(max_bytes=1_000_000)
    body = _parquet([{"x": 1.0, "text": "long " * 4000}] * 60_000)
    assert len(body) < 400_000
    assert "bytes uncompressed" in jobs.plan(body, "rows.parquet").reasons[0]


def test_overwritten_results_do_not_keep_the_refusals_of_an_earlier_file():
    """Names that differ behind a dot stay apart."""
    jobs = Jobs(results="overwritten")
    jobs.run(_csv(100, bad={3}))
    closed = jobs.run(_csv(100), folder="j2")
    assert decode_rows(jobs.store.get(closed.refused_key)) == []
    names = {jobs.run(_csv(5), f"c.v{k}.csv", folder=f"k{k}").result_key for k in (1, 2)}
    assert names == {"batch-results/p/c.v1.csv", "batch-results/p/c.v2.csv"}
