"""The records of a part, by column: what is plain all at once, everything else one by one."""

import csv
import sys
from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from noria.batch.parts import (
    NEWLINE,
    RETURN,
    Part,
    decoded,
    line_ends,
    n_breaks,
    physical_lines,
    record_runs,
)
from noria.data.parsing import CUT, ByteBudget, RawCells, json_records, long_cells, text_fault
from noria.records.batch import FileLayout

_BLANK, _MARK = b"\r\n", b"\xef\xbb\xbf"  # the second is of the byte order
_NO_RECORD, _OTHER_CELLS = "the line does not parse", "cells where the header has"


class BadRecord(NamedTuple):
    """A record that cannot be read."""

    line: int
    reason: str
    cells: RawCells  # as far as they could be told apart


class Records(NamedTuple):
    """The readable records of a part, by column, and the others."""

    cells: dict[str, pa.Array]  # strings, null where there is none
    lines: NDArray[np.int64]  # of the file, ascending
    bad: list[BadRecord]


def read_part(
    part: Part, layout: FileLayout, columns: Sequence[str], ids: Sequence[str] = ()
) -> Records:
    """Return the records of a part: of their columns the model's and the ids."""
    wanted = list(dict.fromkeys((*columns, *ids)))
    if layout.is_json:
        return _read_json(part, layout, wanted, columns)
    if b'"' in part.body:
        return _read_quoted(part, layout, wanted)
    ends = line_ends(part.body) if part.body else np.zeros(0, dtype=np.int64)
    found = _Found(layout, wanted)
    lines = np.arange(part.first_line, part.first_line + len(ends))
    found.add_run(part.body, ends, lines, _strange_lines(part.body, ends, layout))
    return found.records()


def _strange_lines(body: bytes, ends: NDArray[np.int64], layout: FileLayout) -> NDArray[np.bool_]:
    """Return which lines Arrow may read differently: blank, odd marks, other cells."""
    is_strange = _strange_records(body, ends, layout)
    if b"\0" in body or b"\r" in body:
        octets = np.frombuffer(body, dtype=np.uint8)
        returns = np.flatnonzero(octets == RETURN)
        following = np.append(octets, NEWLINE)[returns + 1]
        odd = np.concatenate((np.flatnonzero(octets == 0), returns[following != NEWLINE]))
        is_strange[np.searchsorted(ends, odd, side="right")] = True
    return is_strange


def _strange_records(body: bytes, ends: NDArray[np.int64], layout: FileLayout) -> NDArray[np.bool_]:
    """Return which regular records are blank, or have other cells than the header."""
    is_strange: NDArray[np.bool_] = n_breaks(body, ends, layout) != len(layout.header) - 1
    if len(layout.header) == 1:
        is_strange |= np.diff(ends, prepend=0) <= len(_BLANK)
    return is_strange


def _read_quoted(part: Part, layout: FileLayout, wanted: Sequence[str]) -> Records:
    """Read a part where a quote may hide the end of a line."""
    found, line = _Found(layout, wanted), part.first_line
    budget = ByteBudget(sys.maxsize)
    for run in record_runs(BytesIO(part.body), layout, budget, ""):
        ends = line_ends(run.body)
        if run.is_regular:
            before = np.concatenate(([0], run.ends[:-1]))
            lines = line + np.searchsorted(ends, before, side="right")
            found.add_run(run.body, run.ends, lines, _strange_records(run.body, run.ends, layout))
        else:
            found.add_record([*physical_lines(run.body)], line)
        line += len(ends)
    return found.records()


class _Found:
    """The records of a part, gathered from what Arrow reads and what is read one by one."""

    def __init__(self, layout: FileLayout, wanted: Sequence[str]) -> None:
        self._layout = layout
        self._names = [name for name in layout.header if name in wanted]
        self._places = [layout.header.index(name) for name in self._names]
        self._columns: list[list[pa.Array]] = [[] for _ in self._names]
        self._lines: list[NDArray[np.int64]] = []
        self._slow: list[tuple[int, list[str]]] = []
        self._bad: list[BadRecord] = []

    def add_record(self, record: Sequence[bytes], line: int) -> None:
        """Read one record; a blank line is none."""
        if not any(text.strip(_BLANK) for text in record):
            return
        cells, fault = _cells(record, self._layout)
        if fault:
            self._bad.append(BadRecord(line, fault, _named(cells, self._layout)))
        else:
            self._slow.append((line, cells))

    def add_run(
        self,
        body: bytes,
        ends: NDArray[np.int64],
        lines: NDArray[np.int64],
        is_alone: NDArray[np.bool_],
    ) -> None:
        """Read records that end at `ends`: those that are alone one by one, the others at once."""
        starts = ends - np.diff(ends, prepend=0)
        if _MARK in body:  # Arrow leaves one out at the start of what it reads
            is_alone = is_alone | [body.startswith(_MARK, first) for first in starts.tolist()]
        if not _is_utf8(body):
            bounds = zip(starts.tolist(), ends.tolist(), strict=True)
            is_alone = is_alone | [not _is_utf8(body[first:last]) for first, last in bounds]
        alone = np.flatnonzero(is_alone)
        for place in alone.tolist():
            record = body[starts[place] : ends[place]]
            self.add_record([*physical_lines(record)], int(lines[place]))
        if len(alone):
            edges = np.concatenate(([0], np.column_stack((starts[alone], ends[alone])).ravel()))
            pairs = np.append(edges, len(body)).reshape(-1, 2).tolist()
            body = b"".join(body[first:last] for first, last in pairs)
        if not body:
            return
        read = _arrow_cells(body, self._layout, self._names)
        for column, cells in zip(self._columns, read, strict=True):
            if len(cells) != len(lines) - len(alone):
                raise RuntimeError("Arrow has read other records than there are")
            column.append(cells)
        self._lines.append(lines[~is_alone])

    def records(self) -> Records:
        """Return everything in the order of the file."""
        for column, place in zip(self._columns, self._places, strict=True):
            column.append(pa.array([cells[place] for _, cells in self._slow], pa.string()))
        slow_lines = np.array([line for line, _ in self._slow], dtype=np.int64)
        lines = np.concatenate([*self._lines, slow_lines])
        columns = [pa.concat_arrays(column) for column in self._columns]
        if len(slow_lines):
            order = np.argsort(lines)
            lines = lines[order]
            columns = [column.take(pa.array(order)) for column in columns]
        self._bad.sort(key=lambda record: record.line)
        return Records(dict(zip(self._names, columns, strict=True)), lines, self._bad)


def is_displaced(reason: str) -> bool:
    """Return whether a record was refused because its cells cannot be told apart by column."""
    return reason.startswith(_NO_RECORD) or _OTHER_CELLS in reason


def _cells(record: Sequence[bytes], layout: FileLayout) -> tuple[list[str], str | None]:
    """Return a record's cells, and why it cannot be read."""
    text = [decoded(line) for line in record]
    with long_cells():
        try:
            cells = next(csv.reader(text, delimiter=layout.delimiter, strict=True), [])
        except csv.Error as error:
            return ["".join(text).strip()[:1000]], f"{_NO_RECORD}: {error}"
    if len(cells) != len(layout.header):
        return cells, f"{len(cells)} {_OTHER_CELLS} {len(layout.header)}"
    return cells, next((fault for cell in cells if (fault := text_fault(cell))), None)


def _named(cells: Sequence[str], layout: FileLayout) -> RawCells:
    shown = [cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for cell in cells]
    return dict(zip(layout.header, shown, strict=False))


def _is_utf8(body: bytes) -> bool:
    try:
        return CUT not in body.decode()
    except UnicodeDecodeError:
        return False


def _arrow_cells(body: bytes, layout: FileLayout, names: Sequence[str]) -> list[pa.Array]:
    table = pyarrow.csv.read_csv(
        pa.py_buffer(body),
        read_options=pyarrow.csv.ReadOptions(
            column_names=list(layout.header), use_threads=False, block_size=len(body) + 1
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if b'"' in body else False,
            newlines_in_values=True,
            ignore_empty_lines=False,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=list(names),
            strings_can_be_null=False,
        ),
    )
    return [_one_chunk(table[name]) for name in names]


def _one_chunk(column: Any) -> pa.Array:
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def _read_json(
    part: Part, layout: FileLayout, wanted: Sequence[str], needed: Sequence[str]
) -> Records:
    rows: list[RawCells] = []
    lines: list[int] = []
    bad: list[BadRecord] = []
    body = part.body.removeprefix(b"\xef\xbb\xbf") if part.first_line == 1 else part.body
    for record in json_records(decoded(line) for line in physical_lines(body)):
        line, cells = part.first_line + record.line - 1, record.cells
        for alias, name in layout.aliases.items():
            if alias in cells and name not in cells:
                cells[name] = cells.pop(alias)
        reason = record.fault or _json_fault(cells, wanted, needed)
        if reason:
            bad.append(BadRecord(line, reason, record.cells))
        else:
            rows.append(cells)
            lines.append(line)
    found = {
        name: pa.array([as_cell(row.get(name)) for row in rows], pa.string()) for name in wanted
    }
    return Records(found, np.array(lines, dtype=np.int64), bad)


def _json_fault(cells: RawCells, wanted: Sequence[str], needed: Sequence[str]) -> str | None:
    if not any(name in cells for name in needed):
        return f"none of the model's columns is there: {', '.join(sorted(needed)[:20])}"
    nested = [name for name in wanted if isinstance(cells.get(name), dict | list)]
    return f"{nested[0]}: must be a text or a number" if nested else None


def as_cell(value: Any) -> str | None:
    """Return a value of JSON as a file of CSV would hold it; None where there is none."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)
