"""Answers to the rows of files, by column."""

import numpy as np
import pytest

from noria.monitoring.filed_rows import FiledJob, FiledRows, record_number, record_numbers
from noria.storage.ids import hashed_record_id

JOB = FiledJob("j1", "may.csv", "v1", "2026-03-01T00:00:00+00:00", is_evidence=True)


def _rows(classes=("no", "yes"), outputs=((0.9, 0.1), (0.2, 0.8))):
    numbers = np.stack([record_numbers("p", ["a", "b"]), record_numbers("p", ["c", None])], axis=1)
    outputs = np.array(outputs)
    return FiledRows(
        JOB, classes, ("id", "contract"), numbers, np.array([2, 3]), outputs, outputs.argmax(axis=1)
    )


def test_what_is_filed_is_read_again_and_equal_rows_are_equal_bytes():
    """A part that is scored again replaces its rows by the same ones."""
    rows = _rows()
    read = FiledRows.from_bytes(rows.to_bytes())
    assert (read.job, read.classes, read.id_columns) == (JOB, ("no", "yes"), ("id", "contract"))
    for name in ("numbers", "lines", "outputs", "decided"):
        assert getattr(read, name).tolist() == getattr(rows, name).tolist()
    assert read.to_bytes() == rows.to_bytes() == _rows().to_bytes()
    assert [read.prediction(row) for row in range(2)] == ["no", "yes"]


def test_a_regression_has_values_and_no_classes():
    """And a part may hold no row."""
    rows = FiledRows.from_bytes(_rows((), ((1.5,), (2.5,))).to_bytes())
    assert [rows.prediction(row) for row in range(2)] == [1.5, 2.5]
    none = rows.at_rows(np.zeros(2, dtype=bool))
    assert FiledRows.from_bytes(none.to_bytes()).outputs.shape == (0, 1)


@pytest.mark.parametrize(("record", "lines"), [("a", [2]), ("b", [3]), ("c", [2]), ("d", [])])
def test_a_row_is_found_by_any_of_its_ids(record, lines):
    """Whichever a label or a question names."""
    rows = _rows()
    assert rows.at_rows(rows.named(record_number("p", record))).lines.tolist() == lines


def test_ids_are_hashes_of_the_project_and_equal_hashed_or_not():
    """The ids themselves are nowhere in the file; those that are not there are 0."""
    ids = ["INC-7", hashed_record_id("p", "INC-7"), "", None, "ñ"]
    numbers = record_numbers("p", ids).tolist()
    assert numbers[0] == numbers[1] == record_number("p", "INC-7")
    assert numbers[2:4] == [0, 0]
    assert len(set(numbers)) == 3
    assert record_numbers("q", ids).tolist()[0] != numbers[0]
    assert b"INC-7" not in _rows().to_bytes()
    assert record_numbers("p", []).tolist() == []
