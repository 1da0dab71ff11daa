"""A record is taken out of logs, labels and results, and what is left is said."""

import base64
import gzip
import io
import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.erasure import Eraser, Record
from tests.support.bucket import BUCKET, versioned_stage

MINE, OTHER = "INC-7", "INC-70"
MY_ANSWER, OTHER_ANSWER = "20261101t000000-aaaa-00000001", "20261101t000000-aaaa-00000002"


def _lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


LOGGED = (
    {"prediction_id": MY_ANSWER, "record_id": MINE, "prediction": "a"},
    {"prediction_id": OTHER_ANSWER, "record_id": OTHER, "prediction": "b"},
)
LABELS = {
    "at": "2026-11-01T00:00:00+00:00",
    "labels": [
        {"record_id": MINE, "label": "a"},
        {"prediction_id": MY_ANSWER, "label": "a"},
        {"record_id": OTHER, "label": "b"},
    ],
}
RESULTS = b"line,number,prediction\n2,INC-7,a\n3,INC-70,b\n"
OUTCOME = {"counts": {"head": [{"line": 2, "number": MINE}, {"line": 3, "number": OTHER}]}}


@pytest.fixture
def target():
    """A stage whose bucket keeps versions."""
    with versioned_stage() as stage:
        yield stage


def _everywhere(target):
    put = target.artifacts.put
    failed = _lines(*({"rawData": base64.b64encode(_lines(row)).decode()} for row in LOGGED))
    put("predictions/tickets/2026/a.gz", gzip.compress(_lines(*LOGGED)))
    put("predictions-failed/tickets/x/a", failed)
    put("answers/tickets/2026110100/a.jsonl.gz", gzip.compress(_lines(*LOGGED)))
    put("labels/tickets/2026110100/a.json", json.dumps(LABELS).encode())
    put("batch-results/tickets/j.csv", RESULTS)
    refused = _lines({"line": 4, "errors": [], "cells": {"number": MINE}})
    put("batch-results/tickets/j-refused.jsonl.gz", gzip.compress(refused))
    put("batches/tickets/j/outcome.json", json.dumps(OUTCOME).encode())
    put("batches/tickets/j/report.html", b"<td>INC-7</td>")
    put("batches/tickets/j/input/000000", b"number\nINC-7\n")
    put("batches/tickets/running/input/000000", b"number\nINC-7\n")
    put("inbox/tickets/abc/rows.csv", b"number,label\nINC-7,a\n")
    put("datasets/tickets/v/train/rows.jsonl.gz", gzip.compress(_lines({"id": MINE})))
    put("predictions/messages/2026/a.gz", gzip.compress(_lines(*LOGGED)))


def _all_versions(target):
    pages = target.client("s3").get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    for version in (v for page in pages for v in page.get("Versions", ())):
        key = version["Key"]
        body = target.client("s3").get_object(
            Bucket=BUCKET, Key=key, VersionId=version["VersionId"]
        )["Body"].read()  # fmt: skip
        yield key, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


@pytest.fixture(autouse=True)
def _ids_of_batches(monkeypatch):
    """The ticket's number names a row of a file."""
    spec = SimpleNamespace(id_columns=["number"])
    monkeypatch.setattr("cli.erasure.load_spec", lambda _: spec)


def test_no_version_of_what_can_be_reached_holds_the_record_any_more(target):
    """The neighbour whose id starts the same stays everywhere."""
    _everywhere(target)
    done = Eraser(target, "tickets", MINE, quiet=True).run()
    bodies = list(_all_versions(target))
    word = Record(MINE, [])
    holding = [key for key, body in bodies if word.is_in(body) or MY_ANSWER.encode() in body]
    assert sorted(holding) == sorted([*done.left, "predictions/messages/2026/a.gz"])
    assert done.left == [
        "batches/tickets/running/input/000000",
        "inbox/tickets/abc/rows.csv",
        "datasets/tickets/v/train/rows.jsonl.gz",
    ]
    assert done.deleted == ["batches/tickets/j/input/000000", "batches/tickets/j/report.html"]
    assert done.rows == {
        "predictions/tickets/2026/a.gz": 1,
        "predictions-failed/tickets/x/a": 1,
        "answers/tickets/2026110100/a.jsonl.gz": 1,
        "labels/tickets/2026110100/a.json": 2,
        "batch-results/tickets/j-refused.jsonl.gz": 1,
        "batch-results/tickets/j.csv": 1,
        "batches/tickets/j/outcome.json": 1,
    }
    kept = [key for key, body in bodies if OTHER.encode() in body]
    assert len(kept) == 6  # of the objects above all that held both, and the other project's


def test_what_is_rewritten_keeps_its_form_and_its_other_rows(target):
    """Packed stays packed; a label of another record and the header of a file stay."""
    _everywhere(target)
    Eraser(target, "tickets", MINE, quiet=True).run()
    get = target.artifacts.get
    assert gzip.decompress(get("answers/tickets/2026110100/a.jsonl.gz")) == _lines(LOGGED[1])
    labels = json.loads(get("labels/tickets/2026110100/a.json"))
    assert labels == {**LABELS, "labels": [{"record_id": OTHER, "label": "b"}]}
    assert get("batch-results/tickets/j.csv") == b"line,number,prediction\n3,INC-70,b\n"


def test_a_run_that_was_cut_off_is_finished_by_the_next_one(target):
    """The new version was written, and the old one, which holds the record, was still there."""
    _everywhere(target)
    key = "answers/tickets/2026110100/a.jsonl.gz"
    target.artifacts.put(key, gzip.compress(_lines(LOGGED[1])))
    target.client("s3").delete_object(Bucket=BUCKET, Key="batches/tickets/j/report.html")
    Eraser(target, "tickets", MINE, quiet=True).run()
    word = Record(MINE, [])
    mine = [k for k, body in _all_versions(target) if word.is_in(body)]
    assert key not in mine
    assert "batches/tickets/j/report.html" not in mine


def test_a_second_time_finds_nothing_to_remove(target):
    """And a record that never was there changes nothing."""
    _everywhere(target)
    Eraser(target, "tickets", MINE, quiet=True).run()
    before = sorted(_all_versions(target))
    again = Eraser(target, "tickets", MINE, quiet=True).run()
    other = Eraser(target, "tickets", "INC", quiet=True).run()
    assert (again.rows, again.deleted) == (other.rows, other.deleted) == ({}, [])
    assert sorted(_all_versions(target)) == before


def test_a_result_in_parquet_loses_the_row_and_keeps_its_types():
    """Ids may be numbers there."""
    table = pa.table({"number": [7, 70], "prediction": ["a", "b"], "confidence": [0.5, 0.25]})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    body, n_removed = Record("7", ["number"]).without_results("j.parquet", out.getvalue())
    assert n_removed == 1
    assert pyarrow.parquet.read_table(io.BytesIO(body)).equals(table.slice(1))
