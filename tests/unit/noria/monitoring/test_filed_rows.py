"""Answers to the rows of files, by column."""

import numpy as np
import pytest

from noria.monitoring.filed_rows import (
    FiledJob,
    FiledRows,
    cell_numbers,
    numbers_of,
    private_numbers,
    record_number,
)
from noria.storage.ids import hashed_record_id

JOB = FiledJob("j1", "may.csv", "v1", "2026-03-01T00:00:00+00:00", is_evidence=True)


def _rows(classes=("no", "yes"), outputs=((0.9, 0.1), (0.2, 0.8))):
    numbers = np.stack([cell_numbers(["a", "b"]), cell_numbers(["c", None])], axis=1)
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
    assert rows.at_rows(rows.named(numbers_of("p", record))).lines.tolist() == lines


def test_personal_ids_are_hashes_of_the_project_and_equal_hashed_or_not():
    """The ids themselves are nowhere in the file; those that are not there are 0."""
    ids = ["INC-7", hashed_record_id("p", "INC-7"), "", None, "ñ"]
    numbers = private_numbers("p", ids).tolist()
    assert numbers[0] == numbers[1] == record_number(hashed_record_id("p", "INC-7"))
    assert numbers[2:4] == [0, 0]
    assert len(set(numbers)) == 3
    assert private_numbers("q", ids).tolist()[0] != numbers[0]
    assert set(numbers_of("p", "INC-7")) == {numbers[0], record_number("INC-7")}
    # What only looks like a hash, among ids that are not personal, is found too.
    assert numbers_of("p", ids[1]) == {numbers[0], int(cell_numbers([ids[1]])[0])}
    assert private_numbers("p", []).tolist() == []


def test_the_number_of_an_id_does_not_depend_on_its_neighbours():
    """Whatever its length, and whatever stands before and after it; different ids differ."""
    rng = np.random.default_rng(7)
    ids = ["", "a", "A", "aa", "ñandú", "1", "01", "0" * 8, "0" * 9, "x" * 400, "x" * 401, None]
    ids += ["".join(rng.choice(list("abc-019é"), rng.integers(1, 30))) for _ in range(2000)]
    ids += [f"{number:010d}" for number in range(20_000)]
    numbers = cell_numbers(ids)
    assert [int(n) for n in numbers[:2100]] == [int(cell_numbers([i])[0]) for i in ids[:2100]]
    assert cell_numbers(ids[::-1]).tolist() == numbers[::-1].tolist()
    assert len({*numbers.tolist()} - {0}) == len({*ids} - {"", None})
    assert cell_numbers([]).tolist() == []


def test_the_number_of_an_id_stays_what_it_is():
    """Rows that were filed by an earlier version must be found by a later one."""
    assert cell_numbers(["INC-7", "codigo-000123456"]).tolist() == [
        17352880927047055508,
        12469786507963100325,
    ]
