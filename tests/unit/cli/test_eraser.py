"""A record is taken out of logs, labels and results, and what is left is said."""

import base64
import gzip
import json
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from itertools import count
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.erased_record import Record
from cli.eraser import Eraser
from noria.errors import StoreUnavailableError
from noria.monitoring.filed_rows import FiledJob, FiledRows, cell_numbers, numbers_of, record_number
from noria.records.batch import BatchCounts, BatchOutcome, BatchPlan, FileLayout, PlannedPart
from noria.records.codec import from_bytes, to_bytes
from noria.reporting.batch_report import render
from noria.spec.loader import parse_spec
from tests.support.bucket import BUCKET, memory_stage, versioned_stage
from tests.support.specs import QUICK_TICKETS

SPEC = parse_spec(f'{QUICK_TICKETS}[batch]\nid_columns = ["number"]\n', source="quick.toml")
MINE, OTHER = "INC-7", "INC-70"
MY_ANSWER, OTHER_ANSWER = "20261101t000000-aaaa-00000001", "20261101t000000-aaaa-00000002"
AT = datetime(2026, 11, 1, tzinfo=UTC).isoformat()


def _lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


LOGGED = (
    {"prediction_id": MY_ANSWER, "record_id": MINE, "prediction": "a"},
    {"prediction_id": OTHER_ANSWER, "record_id": OTHER, "prediction": "b"},
)
FAILED_CHALLENGER = {"prediction_id": MY_ANSWER, "prediction": None, "failure": "x"}
LABELS = {
    "at": AT,
    "labels": [
        {"record_id": MINE, "label": "a"},
        {"prediction_id": MY_ANSWER, "label": "a"},
        {"record_id": OTHER, "label": "b"},
    ],
}
FILED_ROWS = "answers/quick/2026110100/batch-ended-000000.npz"
RESULTS = b"line,number,prediction\n2,INC-7,a\n3,INC-70,b\n"


@pytest.fixture
def target():
    """A stage whose bucket keeps versions."""
    with versioned_stage() as stage:
        yield stage


def _counts(*ids):
    head = tuple({"line": n, "number": name, "prediction": "a"} for n, name in enumerate(ids))
    return BatchCounts(
        n_rows=2,
        n_answered=2,
        n_refused=0,
        n_outside=0,
        reasons={},
        columns=("line", "number", "prediction"),
        head=head,
        classes={"a": 1, "b": 1},
        histogram=(0,) * 20,
        histogram_of="confidence",
    )


def _outcome(job, *ids):
    return BatchOutcome(
        project="quick",
        job_id=job,
        source_key=f"batch-inbox/quick/{job}/rows.csv",
        filename="rows.csv",
        started_at=AT,
        finished_at=AT,
        seconds=1.0,
        outcome="BatchCompleted",
        summary="2 of 2 rows answered",
        n_parts=2,
        counts=_counts(*ids),
    )


@cache
def _page(job, *ids):
    return render(_outcome(job, *ids), None)


def _filed_rows(*ids):
    """Return the answers to the rows of a file: of their ids only hashes."""
    n = len(ids)
    job = FiledJob("ended", "rows.csv", "v1", AT)
    numbers = cell_numbers(ids)[:, np.newaxis]
    shares = np.full((n, 2), 0.5)
    return FiledRows(
        job, ("a", "b"), ("number",), numbers, np.arange(n), shares, np.zeros(n, dtype=np.int64)
    ).to_bytes()


def _put_batch(put, job, *, has_ended, first=b"INC-7,as others\n"):
    """A job of two parts: in the first the record may be, the second only mentions it."""
    at = f"batches/quick/{job}"
    layout = FileLayout(is_json=False, header=("number", "text"))
    parts = (PlannedPart(2, 20), PlannedPart(3, 20))
    plan = BatchPlan("quick", job, "k", "rows.csv", AT, parts=parts, layout=layout)
    put(f"{at}/plan.json", to_bytes(plan))
    put(f"{at}/owner.json", b'{"owner":"x"}')
    put(f"{at}/input/000000", first)
    put(f"{at}/input/000001", b"INC-70,see INC-7\n")
    if has_ended:
        ids = [first.partition(b",")[0].decode(), OTHER]
        put(f"{at}/answers/000000", f"line,number,prediction\n2,{ids[0]},a\n".encode())
        put(f"{at}/answers/000001", b"3,INC-70,b\n")
        put(f"{at}/filed/000000", _filed_rows(*ids))
        put(f"{at}/refused/000000", b"")
        put(f"{at}/joined/000000", b"columns of tables")
        put(f"{at}/summary/000000", to_bytes(_counts(ids[0])))
        put(f"{at}/summary/000001", to_bytes(_counts(OTHER)))
        put(f"{at}/outcome.json", to_bytes(_outcome(job, *ids)))
        put(f"{at}/report.html", _page(job, *ids))


def _everywhere(target):
    put = target.artifacts.put
    _put_what_is_cleared(put)
    _put_batch(put, "others", has_ended=True, first=b"INC-9,x\n")
    _put_batch(put, "running", has_ended=False)
    put("inbox/quick/abc/rows.csv", b"number,label\nINC-7,a\n")
    put("datasets/quick/v/train/rows.jsonl.gz", gzip.compress(_lines({"_id": MINE})))
    put("predictions/tickets/2026/a.gz", gzip.compress(_lines(*LOGGED)))


def _put_what_is_cleared(put):
    packed = [{"rawData": base64.b64encode(_lines(*LOGGED)).decode()}]
    put("predictions/quick/2026/a.gz", gzip.compress(_lines(*LOGGED)))
    put("predictions/quick/2026/b.gz", gzip.compress(_lines(FAILED_CHALLENGER)))
    put("predictions-failed/quick/x/a", _lines(*packed))
    put("answers/quick/2026110100/a.jsonl.gz", gzip.compress(_lines(*LOGGED)))
    put(FILED_ROWS, _filed_rows(OTHER, MINE))
    put("labels/quick/2026110100/a.json", json.dumps(LABELS).encode())
    put("batch-results/quick/j.csv", RESULTS)
    refused = _lines({"line": 4, "errors": [], "cells": {"number": MINE}})
    put("batch-results/quick/j-refused.jsonl.gz", gzip.compress(refused))
    _put_batch(put, "ended", has_ended=True)


GONE = [
    f"batches/quick/ended/{kind}/000000"
    for kind in ("answers", "filed", "refused", "joined", "input")
]
LEFT = {
    "batches/quick/ended/input/000001": "mentions the id outside an id column",
    "batches/quick/others/input/000001": "mentions the id outside an id column",
    "batches/quick/running/input/000000": "the batch has not ended; run this again when it has",
    "batches/quick/running/input/000001": "mentions the id outside an id column",
    "datasets/quick/v/train/rows.jsonl.gz": (
        "a dataset version: models have learned it; train again without the row"
    ),
    "inbox/quick/abc/rows.csv": "your file: take the row out, and upload it again",
}


def _erased(target, record_id=MINE):
    return Eraser(target, SPEC, record_id, quiet=True).run()


def _all_versions(target):
    at = {"Bucket": target.outputs["DataBucket"]}
    pages = target.client("s3").get_paginator("list_object_versions").paginate(**at)
    for version in (v for page in pages for v in page.get("Versions", ())):
        key = version["Key"]
        body = target.artifacts.open(key, version["VersionId"]).read()
        yield key, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def _holding(target):
    """Return the keys that hold or mention the record in any version, or its answer's id."""
    word = Record(MINE, SPEC)
    answer = MY_ANSWER.encode()
    return sorted(
        {
            key
            for key, body in _all_versions(target)
            if (word.mentions(body) or answer in body or _is_filed(key, body))
            and not key.startswith("erasures/")
        }
    )


def _is_filed(key, body):
    if not key.endswith(".npz") and "/filed/" not in key:
        return False
    return bool(FiledRows.from_bytes(body).named(numbers_of("quick", MINE)).any())


def _rows_of_others(target):
    """Return how often the other record stands in what is there now."""
    found = {}
    for item in target.artifacts.under(""):
        body = target.artifacts.get(item.key)
        text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        for line in text.splitlines():
            with suppress(ValueError, KeyError, TypeError):
                text += base64.b64decode(json.loads(line)["rawData"])
        found[item.key] = text.count(OTHER.encode())
    return {key: n for key, n in found.items() if n}


def test_no_version_of_what_can_be_reached_holds_the_record_any_more(target):
    """The neighbour whose id starts the same stays everywhere."""
    _everywhere(target)
    done = _erased(target)
    assert _holding(target) == sorted([*LEFT, "predictions/tickets/2026/a.gz"])
    assert (done.left, done.deleted, done.unread) == (LEFT, GONE, {})
    assert done.rows == {
        "predictions/quick/2026/a.gz": 1,
        "predictions/quick/2026/b.gz": 1,
        "predictions-failed/quick/x/a": 1,
        "answers/quick/2026110100/a.jsonl.gz": 1,
        FILED_ROWS: 1,
        "labels/quick/2026110100/a.json": 2,
        "batch-results/quick/j-refused.jsonl.gz": 1,
        "batch-results/quick/j.csv": 1,
        "batches/quick/ended/summary/000000": 1,
        "batches/quick/ended/outcome.json": 1,
        "batches/quick/ended/report.html": 1,
    }


def test_what_is_rewritten_keeps_its_form_and_its_other_rows(target):
    """Packed stays packed; a label of another record and the header of a file stay."""
    _everywhere(target)
    _erased(target)
    get = target.artifacts.get
    assert gzip.decompress(get("answers/quick/2026110100/a.jsonl.gz")) == _lines(LOGGED[1])
    rows = FiledRows.from_bytes(get(FILED_ROWS))
    assert rows.named([record_number(OTHER)]).tolist() == [True]
    labels = json.loads(get("labels/quick/2026110100/a.json"))
    assert labels == {**LABELS, "labels": [{"record_id": OTHER, "label": "b"}]}
    assert get("batch-results/quick/j.csv") == b"line,number,prediction\n3,INC-70,b\n"
    ended = from_bytes(BatchOutcome, get("batches/quick/ended/outcome.json"))
    assert [row["number"] for row in ended.counts.head] == [OTHER]
    page = get("batches/quick/ended/report.html")
    assert (OTHER.encode() in page, b">INC-7<" in page) == (True, False)


def test_a_batch_without_the_record_is_not_touched(target):
    """Though a text in it mentions the id; nor are plans and owners of any batch."""
    _everywhere(target)
    before = {key: body for key, body in _all_versions(target) if key.startswith("batches/")}
    _erased(target)
    after = dict(_all_versions(target))
    kept = [key for key in before if "/others/" in key or key.endswith(("plan.json", "owner.json"))]
    assert len(kept) == 17
    assert {key: after.get(key) for key in kept} == {key: before[key] for key in kept}


def test_a_short_id_touches_only_its_own_rows(target):
    """A 7 stands in every plan and count; as an id it is in one row here."""
    _put_batch(target.artifacts.put, "ended", has_ended=True, first=b"7,x\n")
    _put_batch(target.artifacts.put, "others", has_ended=True, first=b"8,7 and 7\n")
    done = _erased(target, "7")
    assert done.deleted == GONE
    assert all("/ended/" in key for key in done.rows)


@pytest.fixture
def _quick_pages(monkeypatch):
    page = "noria.reporting.batch_report.render"
    monkeypatch.setattr(page, lambda *_: b"<td>INC-70</td>")


@pytest.mark.usefixtures("_quick_pages")
@pytest.mark.parametrize("operation", ["PutObject", "DeleteObject"])
def test_a_run_that_was_cut_off_anywhere_is_finished_by_the_next_one(operation):
    """Cut before each write and each deletion in turn, until a run goes through."""
    assert _n_cuts(operation) >= 10


def _n_cuts(operation):
    return next(n for n in count() if not _is_cut_off_and_finished(operation, n))


def _is_cut_off_and_finished(operation, after):
    """Let a run fail at its write number `after`; return whether it did, and finish it."""
    target, n_seen = memory_stage(), 0
    _put_what_is_cleared(target.artifacts.put)
    others, client = _rows_of_others(target), target.client("s3")

    def cut(written, _):
        nonlocal n_seen
        n_seen += written == operation
        if n_seen > after:
            raise ConnectionAbortedError("the machine went away")

    client.before = cut
    try:
        _erased(target)
    except (ConnectionAbortedError, StoreUnavailableError):
        is_cut = True
    else:
        is_cut = False
    client.before = lambda *_: None
    _erased(target)
    assert _holding(target) == ["batches/quick/ended/input/000001"]  # a mention
    assert _rows_of_others(target) == others
    return is_cut


@pytest.mark.usefixtures("_quick_pages")
def test_a_run_that_kept_no_note_of_the_answers_would_not_be_finished(monkeypatch):
    """The control: a line that fails names no record, and the line that does is gone already."""
    notes = count()
    monkeypatch.setattr("cli.eraser.erasure_key", lambda *_: f"erasures/{next(notes)}")
    with pytest.raises(AssertionError, match="predictions/quick/2026/b"):
        _n_cuts("PutObject")


def test_the_bucket_in_memory_does_what_motos_does(target):
    """The same erasure leaves the same versions of everything in both."""
    other = memory_stage()
    for stage in (target, other):
        _everywhere(stage)
        assert _erased(stage).unread == {}
        assert _erased(stage).rows == {}
    assert sorted(_all_versions(other)) == sorted(_all_versions(target))


def test_what_cannot_be_read_is_said_and_ends_nothing(target):
    """A cut archive, labels that are none and a broken table: the others are still cleared."""
    _everywhere(target)
    put = target.artifacts.put
    put("predictions/quick/2026/c.gz", gzip.compress(_lines(*LOGGED) * 99)[:-9])
    put("labels/quick/2026110100/b.json", b"[]")
    put("labels/quick/2026110100/c.json", b'{"labels":[5]}')
    put("batch-results/quick/k.parquet", b"PAR1")
    done = _erased(target)
    assert sorted(done.unread) == [
        "batch-results/quick/k.parquet",
        "labels/quick/2026110100/b.json",
        "labels/quick/2026110100/c.json",
        "predictions/quick/2026/c.gz",
    ]
    assert done.unread["predictions/quick/2026/c.gz"].startswith("EOFError: Compressed file ended")
    assert done.rows["labels/quick/2026110100/a.json"] == 2
    assert gzip.decompress(target.artifacts.get("predictions/quick/2026/a.gz")) == _lines(LOGGED[1])


def test_an_earlier_version_of_a_deleted_object_that_holds_the_record_goes_too(target):
    """The bucket keeps versions for thirty days, of what is deleted too."""
    _everywhere(target)
    for key in ("answers/quick/2026110100/a.jsonl.gz", "batches/quick/ended/report.html"):
        target.client("s3").delete_object(Bucket=BUCKET, Key=key)
    _erased(target)
    assert _holding(target) == sorted([*LEFT, "predictions/tickets/2026/a.gz"])


def test_a_second_time_finds_nothing_to_remove(target):
    """And a record that never was there changes nothing."""
    _everywhere(target)
    _erased(target)
    before = sorted(_all_versions(target))
    again, other = _erased(target), _erased(target, "INC-1")
    assert (again.rows, again.deleted) == (other.rows, other.deleted) == ({}, [])
    assert sorted(_all_versions(target)) == before


def test_what_comes_late_and_names_only_the_answer_is_found_by_the_next_run(target):
    """The line that told whose answer it was is gone by then."""
    _put_what_is_cleared(target.artifacts.put)
    _erased(target)
    target.artifacts.put("predictions/quick/2026/z.gz", gzip.compress(_lines(FAILED_CHALLENGER)))
    target.artifacts.put("labels/quick/2026110200/z.json", json.dumps(LABELS).encode())
    assert _erased(target).rows == {
        "labels/quick/2026110200/z.json": 2,
        "predictions/quick/2026/z.gz": 1,
    }


@pytest.mark.parametrize("newer", [b"line,number,prediction\n2,INC-7,c\n3,INC-70,c\n", RESULTS])
def test_what_is_written_meanwhile_is_not_overwritten(target, newer):
    """The newest results stay, and lose the record too; equal ones are another version."""
    target.artifacts.put("batch-results/quick/j.csv", RESULTS)
    client, n_seen = target.client("s3"), 0

    def write_before(params, **_):
        nonlocal n_seen
        if params["Key"].startswith("batch-results") and "IfMatch" in params:
            n_seen += 1
            if n_seen == 1:
                target.artifacts.put("batch-results/quick/j.csv", newer)

    client.meta.events.register("provide-client-params.s3.PutObject", write_before)
    _erased(target)
    assert n_seen >= 1
    kept = newer.replace(b"2,INC-7,c\n", b"").replace(b"2,INC-7,a\n", b"")
    assert target.artifacts.get("batch-results/quick/j.csv") == kept
    assert _holding(target) == []


def test_a_batch_that_ends_meanwhile_has_its_results_cleared(target):
    """Jobs are looked through before results."""
    put, looked = target.artifacts.put, []
    _put_batch(put, "running", has_ended=False)

    def end_it(params, **_):
        if params.get("Prefix", "").startswith("batches/quick") and not looked:
            looked.append(params["Prefix"])
            put("batch-results/quick/running.csv", RESULTS)
            put(FILED_ROWS, _filed_rows(MINE, OTHER))
            _put_batch(put, "running", has_ended=True)

    event = "provide-client-params.s3.ListObjectVersions"
    target.client("s3").meta.events.register(event, end_it)
    _erased(target)
    assert looked
    assert not {"batch-results/quick/running.csv", FILED_ROWS} & set(_holding(target))


def test_a_part_of_a_file_that_was_refused_is_deleted_where_the_id_stands_in_it(target):
    """Its columns are not known, and nobody reads it any more."""
    put = target.artifacts.put
    put(
        "batches/quick/r/plan.json", to_bytes(BatchPlan("quick", "r", "k", "x", AT, reasons=("y",)))
    )
    put("batches/quick/r/outcome.json", to_bytes(_outcome("r")))
    put("batches/quick/r/input/000000", b"7,x\n")
    put("batches/quick/r/input/000001", b"70,x\n")
    assert _erased(target, "7").deleted == ["batches/quick/r/input/000000"]


def test_an_earlier_version_that_held_the_record_is_told(target):
    """The newest one held it no more."""
    target.artifacts.put("batch-results/quick/j.csv", RESULTS)
    target.artifacts.put("batch-results/quick/j.csv", b"line,number,prediction\n")
    done = _erased(target)
    assert (done.rows, done.versions) == ({}, {"batch-results/quick/j.csv": 1})


def test_a_version_that_expires_between_listing_and_reading_is_passed_over(target):
    """Its retention has ended: it is gone, and nothing could not be read."""
    put = target.artifacts.put
    for body in (b"number\nINC-7\n", b"number\nINC-8\n"):
        put("inbox/quick/abc/rows.csv", body)
    client, expired = target.client("s3"), []

    def expire(parsed, **_):
        if parsed.get("Prefix", "").startswith("inbox/") and not expired:
            old = next(version for version in parsed["Versions"] if not version["IsLatest"])
            expired.append(old["VersionId"])
            client.delete_object(Bucket=BUCKET, Key=old["Key"], VersionId=old["VersionId"])

    client.meta.events.register("after-call.s3.ListObjectVersions", expire)
    done = _erased(target)
    assert expired
    assert (done.unread, done.left) == ({}, {})


def test_no_damage_of_filed_rows_ends_the_run(target):
    """It is said that they could not be read."""
    target.artifacts.put(FILED_ROWS, _filed_rows(MINE, OTHER)[:400])
    assert set(_erased(target).unread) == {FILED_ROWS}


@pytest.mark.parametrize("record_id", ["7", MINE])
def test_what_came_with_a_file_of_labels_is_told_to_its_owner(target, record_id):
    """The file itself, and the rows of it that were refused, a short id too."""
    put = target.artifacts.put
    put("labels-inbox/quick/u1/l.csv", f"record_id,label\n{record_id},a\n".encode())
    refused = _lines({"line": 2, "errors": [], "cells": {"record_id": record_id, "label": "?"}})
    put("quarantine/quick/labels-ab/rows.jsonl.gz", gzip.compress(refused))
    left = _erased(target, record_id).left
    assert left["labels-inbox/quick/u1/l.csv"].startswith("your file")
    assert left["quarantine/quick/labels-ab/rows.jsonl.gz"] == "rows that were refused"


def test_no_damage_of_a_parquet_file_ends_the_run(target):
    """Arrow says so with errors of its own, and with those of the operating system."""
    out = BytesIO()
    table = pa.table({"number": [f"INC-{n}" for n in range(2000)], "x": list(range(2000))})
    pyarrow.parquet.write_table(table, out, compression="snappy")
    whole, damages, rng = out.getvalue(), 40, Random(7)
    for n in range(damages):
        body = bytearray(whole)
        at = rng.randrange(4, len(body) - 40)
        body[at : at + 40] = rng.randbytes(40)
        target.artifacts.put(f"batch-inbox/quick/{n}/rows.parquet", bytes(body))
    done = _erased(target)
    assert len(done.unread) > damages // 4
    assert all(key.startswith("batch-inbox/") for key in (*done.unread, *done.left))
