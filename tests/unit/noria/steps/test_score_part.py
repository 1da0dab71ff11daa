"""Rows of a part answered in order, bad ones named."""

import csv
import gzip
import io
import json

import pyarrow.parquet
import pytest

from noria.data.versions import decode_rows
from tests.support.jobs import Jobs, csv_file, parquet_file
from tests.support.trained import COLUMN, tiny_bundle


def test_every_row_is_answered_in_order_with_its_id():
    """Several parts; an alias of a column is the column."""
    jobs = Jobs()
    closed = jobs.run(csv_file(250))
    answers = jobs.answers(closed)
    assert closed.outcome == "BatchCompleted"
    assert [a["id"] for a in answers] == [f"i{k}" for k in range(250)]
    assert [float(a["prediction"]) for a in answers] == [2.0 * (k % 10) + 1 for k in range(250)]
    assert [int(a["line"]) for a in answers] == list(range(2, 252))


def test_bad_rows_are_named_and_the_good_ones_answered():
    """With line, reason and cells as they came."""
    jobs = Jobs()
    closed = jobs.run(csv_file(150, bad={3, 120}))
    refused = decode_rows(jobs.store.get(closed.refused_key))
    assert [row["line"] for row in refused] == [5, 122]
    assert refused[0]["cells"] == {"id": "i3", "x": "much"}
    assert refused[0]["errors"] == [{"field": "x", "reason": "must be a number, got text"}]
    assert len(jobs.answers(closed)) == 148


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv.gz", "rows.parquet"])
def test_other_formats_give_the_same_answers(name):
    """JSON lines, gzip, Parquet."""
    rows = [{"id": f"i{k}", "x": float(k % 10)} for k in range(120)]
    bodies = {
        "rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "rows.csv.gz": gzip.compress(csv_file(120)),
        "rows.parquet": parquet_file(rows),
    }
    jobs = Jobs()
    answers = jobs.answers(jobs.run(bodies[name], name))
    assert [(a["id"], float(a["prediction"])) for a in answers] == [
        (row["id"], 2 * row["x"] + 1) for row in rows
    ]


def test_ids_that_a_spreadsheet_would_run_are_inert_and_numbers_stay():
    """A leading apostrophe, as with all such cells."""
    jobs = Jobs()
    body = b"id,X\n=1+1,1\n-5,1\n@x,1\n+44 20,1\nx;=1+1,1\n"
    assert [a["id"] for a in jobs.answers(jobs.run(body))] == [
        "'=1+1", "-5", "'@x", "'+44 20", "'x;=1+1",
    ]  # fmt: skip


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


def test_json_lines_know_aliases_and_marks_and_refuse_strangers():
    """As training reads them."""
    jobs = Jobs(max_refused_fraction=0.5)
    body = b'\xef\xbb\xbf{"id": "a", "X": 1}\n{"id": "b", "x": 2}\n{"id": "c", "other": 3}\n'
    closed = jobs.run(body, "rows.jsonl")
    assert [float(a["prediction"]) for a in jobs.answers(closed)] == [3.0, 5.0]
    (refused,) = decode_rows(jobs.store.get(closed.refused_key))
    assert "none of the model's columns" in refused["errors"][0]["reason"]


def test_of_two_names_of_one_column_the_first_counts():
    """The other one is a column that was not asked for."""
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


def test_rows_of_a_single_column_of_parquet_are_rows_also_where_they_are_empty():
    """A missing value is refused with its reason, not lost."""
    jobs = Jobs(max_refused_fraction=0.5)
    closed = jobs.run(parquet_file([{"x": 1.0}, {"x": None}, {"x": 2.0}]), "rows.parquet")
    assert len(jobs.answers(closed)) == 2
    assert [row["line"] for row in decode_rows(jobs.store.get(closed.refused_key))] == [3]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_the_files_own_columns_come_back_where_the_spec_says_so(form):
    """As they were, aliases under their column's name; the page and the summary do not show them."""
    jobs = Jobs(include_inputs=True, format=form)
    body = b"id,X,prediction,note\n" + b"".join(
        b"i%d,%d,old,n %d\n" % (k, k % 10, k) for k in range(150)
    )
    closed = jobs.run(body)
    found = jobs.store.get(closed.result_key)
    rows = {
        "csv": lambda: list(csv.DictReader(io.StringIO(found.decode()))),
        "jsonl": lambda: [json.loads(line) for line in found.splitlines()],
        "parquet": lambda: pyarrow.parquet.read_table(io.BytesIO(found)).to_pylist(),
    }[form]()
    assert [(row["id"], row["x"], row["note"], row["input_prediction"]) for row in rows] == [
        (f"i{k}", str(k % 10), f"n {k}", "old") for k in range(150)
    ]
    assert [float(row["prediction"]) for row in rows] == [2.0 * (k % 10) + 1 for k in range(150)]
    counts = jobs.outcome().counts
    assert counts.columns == ("line", "id", "prediction")
    assert set(counts.head[0]) == {"line", "id", "prediction"}


def test_of_json_lines_the_models_columns_come_back():
    """Each line has its own; a result has the same columns in all parts."""
    jobs = Jobs(include_inputs=True)
    lines = [json.dumps({"id": f"i{k}", "x": k % 10, f"other{k}": k}) for k in range(150)]
    rows = jobs.answers(jobs.run("\n".join(lines).encode(), "rows.jsonl"))
    assert [(row["id"], row["x"]) for row in rows] == [(f"i{k}", str(k % 10)) for k in range(150)]
    assert set(rows[0]) == {"line", "id", "prediction", "x"}
