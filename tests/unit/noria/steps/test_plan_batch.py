"""Files cut into parts, or refused with every reason."""

import gzip

import pytest

from noria.storage.keys import PLAN, batch_key
from tests.support.fakes import MemoryAliases
from tests.support.jobs import Jobs, csv_file, parquet_file
from tests.support.trained import COLUMN, tiny_bundle


def test_the_plan_pins_the_model_whoever_is_promoted_meanwhile():
    """One file, one model version."""
    jobs = Jobs()
    plan = jobs.plan(csv_file(150))
    jobs.score(plan.job_id, 0)
    jobs.promote("v2", tiny_bundle(columns={"x": {**COLUMN, "min": 9.5}}))
    jobs.score(plan.job_id, 1)
    assert len(jobs.answers(jobs.close())) == 150


def test_the_same_event_again_is_one_job_and_a_retry_is_the_same():
    """Another execution is told; the same one goes on."""
    jobs = Jobs()
    first = jobs.plan(csv_file(10), owner="e1")
    assert jobs.plan(csv_file(10), owner="e2").verdict == "duplicate"
    assert jobs.plan(csv_file(10), owner="e1") == first
    del jobs.store.objects[batch_key("p", "j1", PLAN)]  # killed before it had written its plan
    assert jobs.plan(csv_file(10), owner="e1") == first


def test_a_loose_file_is_a_job_by_its_name_and_upload():
    """Put there again it is another one; a folder of its own makes it no job that was asked for."""
    jobs = Jobs()
    first = jobs.plan(csv_file(10), folder="2026", is_job=False)
    assert jobs.plan(csv_file(10), folder="2026", is_job=False, owner="e2").verdict == "duplicate"
    others = [
        jobs.plan(csv_file(10), folder="2026", is_job=False, owner="e3", event="s2"),
        jobs.plan(csv_file(10), "west.csv", folder="2026", is_job=False, owner="e4"),
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
        ("rows.csv.gz", gzip.compress(b"X\n" + b"1\n" * 500, mtime=0)[:-9], "truncated"),
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
    assert "noria train p" in jobs.plan(csv_file(3)).reasons[0]


def test_a_failed_plan_has_an_outcome_and_a_new_upload_is_a_new_job():
    """No caller waits for ever, and a second try works."""
    jobs = Jobs()
    jobs.key = "batch-inbox/p/rows.csv"
    assert jobs.close(failure="Runtime.ExitError: out of memory").outcome == "BatchFailed"
    again = jobs.plan(csv_file(10), folder="", is_job=False, owner="e2", event="s2")
    assert again.verdict == "planned"


def test_a_slow_attempt_does_not_replace_the_plan_that_others_follow():
    """Two attempts of one execution: the first plan counts, and its model."""
    jobs = Jobs()
    first = jobs.plan(csv_file(150))
    kept = jobs.store.get(batch_key("p", "j1", PLAN))
    jobs.promote("v2", tiny_bundle(columns={"x": {**COLUMN, "min": 9.5}}))
    exists = jobs.store.exists
    jobs.store.exists = lambda key: False if key.endswith(PLAN) else exists(key)
    assert jobs.plan(csv_file(150)) == first
    assert jobs.store.get(batch_key("p", "j1", PLAN)) == kept


def test_a_parquet_file_that_unfolds_is_refused_early():
    """A dictionary makes a small file any size."""
    jobs = Jobs(max_bytes=1_000_000)
    body = parquet_file([{"x": 1.0, "text": "long " * 4000}] * 60_000)
    assert len(body) < 400_000
    assert "bytes uncompressed" in jobs.plan(body, "rows.parquet").reasons[0]


def test_records_are_counted_not_lines():
    """Quoted line ends are part of one."""
    jobs = Jobs(max_rows=150)
    body = b"id,x\n" + b'"a\nb\nc",1\n' * 120
    assert len(jobs.answers(jobs.run(body))) == 120


def test_a_limit_answers_the_first_rows_only():
    """A try before the whole."""
    for body in (csv_file(250), b"id,X\n" + b'"a\nb",1\n' * 250):
        for limit, n_parts in ((7, 1), (100, 1), (130, 2)):
            jobs = Jobs()
            assert len(jobs.answers(jobs.run(body, limit=limit))) == limit
            assert jobs.plan(body, limit=limit).n_parts == n_parts
