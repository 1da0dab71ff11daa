"""Reviews with their tables, as a team has them: answered like the file that joins them."""

import csv
import io
import json

import pytest

from cli.samples.files import sample_files
from noria.columnar.models import BatchModels
from noria.data.joins import Tables
from noria.data.parsing import ByteBudget, read_records
from noria.records.alias import Promotion
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from noria.steps.close_batch import CloseBatchRequest, close_batch
from noria.steps.plan_batch import PlanBatchRequest, plan_batch
from noria.steps.score_part import ScorePartRequest, score_part
from tests.support.analyzed import AnalyzedModel
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock


@pytest.fixture(scope="module")
def model(request):
    """A model that reads the author and the business of a review."""
    from noria.spec.loader import load_project
    from tests.conftest import PROJECTS

    return AnalyzedModel(load_project("messages", PROJECTS), "logistic_regression", 1500)


def _answers(model, files, name, tables):
    """Score a file of the messages with these tables in the inbox."""
    store, aliases, clock = MemoryArtifacts(), MemoryAliases(), SteppingClock()
    write_version(store, "messages", "v1", model.files, VersionFacts())
    aliases.apply(
        Promotion("messages", "v1", "v1", 0, "manual", "t", "t", "2026-01-01T00:00:00+00:00")
    )
    for table in tables:
        store.put(f"inbox/messages/1/{table}", files[table])
    key = f"batch-inbox/messages/{name}"
    store.put(key, files[name])
    plan = plan_batch(
        PlanBatchRequest("messages", key, "e", "o"),
        spec=model.spec, store=store, aliases=aliases, clock=clock,
    )  # fmt: skip
    assert plan.verdict == "planned", plan.reasons
    models = BatchModels(store)
    for part in range(plan.n_parts):
        request = ScorePartRequest("messages", plan.job_id, part)
        score_part(request, spec=model.spec, artifacts=store, models=models)
    closed = close_batch(
        CloseBatchRequest("messages", key, "e"), spec=model.spec, store=store, clock=clock
    )
    rows = csv.DictReader(io.StringIO(store.get(closed.result_key).decode()))
    return closed.summary, [{k: v for k, v in row.items() if k != "line"} for row in rows]


def test_reviews_with_their_tables_are_answered_as_the_joined_file(model):
    """To the last digit. Without the tables some answers differ, and the summary says so."""
    files = dict(sample_files("messages", n_rows=600, seed=77))
    (reviews,) = [name for name in files if "user" not in name and "business" not in name]
    tables = [name for name in files if name != reviews]
    with Tables(model.spec.dataset.joins) as joins:
        for name in tables:
            joins.add(name, _records(files, name))
        joined = [record.cells for record in joins.joined(_records(files, reviews))]
    files["joined.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in joined)
    _, expected = _answers(model, files, "joined.jsonl", ())
    summary, found = _answers(model, files, reviews, tables)
    assert found == expected
    assert "without the tables" not in summary
    summary, without = _answers(model, files, reviews, ())
    assert sum(a != b for a, b in zip(without, expected, strict=True)) > 10
    assert "without the tables *user*, *business*" in summary


def _records(files, name):
    return read_records(io.BytesIO(files[name]), name, ByteBudget(10**9))
