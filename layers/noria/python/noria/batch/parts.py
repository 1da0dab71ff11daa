"""A file in parts of whole records, and the records of a part; a bad record never takes others.

Training refuses a file with a quote that never closes, because its rows cannot be told apart. A
batch has promised an answer to every other row, so here such a line is one bad record, and reading
goes on behind it. Splitting and reading use the same function, so a part holds whole records.
"""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from noria.data.parsing import (
    CUT,
    MAX_CELL_CHARACTERS,
    checked_header,
    json_records,
    text_fault,
)

_RECORD_LINES = 1_000  # a quoted cell may hold this many line ends; behind it, it never closes
_PART_BYTES = 32 << 20  # parts of long texts hold fewer rows
_BLANK = b"\r\n"


@dataclass(frozen=True)
class FileLayout:
    """How a file's records are written."""

    is_json: bool
    header: tuple[str, ...] = ()  # CSV: the columns in order, by the names the spec gives them
    delimiter: str = ","

    def to_dict(self) -> dict[str, Any]:
        """Return the layout as JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the layout that `to_dict` gave."""
        return cls(data["is_json"], tuple(data["header"]), data["delimiter"])


class Part(NamedTuple):
    """Some records of a file, as they were written."""

    first_line: int  # of the file, from 1
    body: bytes


class BadRecord(NamedTuple):
    """A record that cannot be read."""

    line: int
    reason: str
    cells: dict[str, Any]  # as far as they could be told apart


class Records(NamedTuple):
    """The readable records of a part, by column, and the others."""

    cells: dict[str, pa.Array]  # strings, null where there is none
    lines: NDArray[np.int64]  # of the file, ascending
    bad: list[BadRecord]


def read_header(
    lines: Iterator[bytes], filename: str, delimiter: str
) -> tuple[tuple[str, ...], int]:
    """Return the columns of a CSV file and how many lines its header takes.

    DatasetSchemaError names what is wrong with it.
    """
    n_lines = 0

    def decoded() -> Iterator[str]:
        nonlocal n_lines
        for line in lines:
            n_lines += 1
            yield line.decode("utf-8-sig" if n_lines == 1 else "utf-8", "surrogateescape")

    try:
        cells = next(csv.reader(decoded(), delimiter=delimiter, strict=True), [])
    except csv.Error:
        cells = []
    return tuple(checked_header(cells, filename, delimiter)), n_lines


def split_records(
    lines: Iterator[bytes], layout: FileLayout, first_line: int, rows_per_part: int
) -> Iterator[Part]:
    """Yield parts of at most `rows_per_part` records, in order."""
    body: list[bytes] = []
    started, line, n_rows, size = first_line, first_line, 0, 0
    for record in _records(lines, layout):
        body += record
        line, n_rows, size = line + len(record), n_rows + 1, size + sum(map(len, record))
        if n_rows == rows_per_part or size >= _PART_BYTES:
            yield Part(started, b"".join(body))
            body, started, n_rows, size = [], line, 0, 0
    if body:
        yield Part(started, b"".join(body))


def read_part(part: Part, layout: FileLayout, wanted: Sequence[str]) -> Records:
    """Return the records of a part; of the columns only those wanted."""
    if layout.is_json:
        return _read_json(part, wanted)
    quick: list[bytes] = []
    quick_lines: list[int] = []
    slow: list[tuple[int, list[str]]] = []
    bad: list[BadRecord] = []
    line, n_breaks = part.first_line, len(layout.header) - 1
    delimiter = layout.delimiter.encode()
    for record in _records(_physical(part.body), layout):
        first = record[0]
        if len(record) == 1 and _is_plain(first) and first.count(delimiter) == n_breaks:
            if first.strip(_BLANK):
                quick.append(first)
                quick_lines.append(line)
        elif any(text.strip(_BLANK) for text in record):
            cells, fault = _cells(record, layout)
            if fault:
                bad.append(BadRecord(line, fault, _named(cells, layout)))
            else:
                slow.append((line, cells))
        line += len(record)
    return _joined(quick, quick_lines, slow, bad, layout, wanted)


def _physical(body: bytes) -> Iterator[bytes]:
    return iter(BytesIO(body))


def _records(lines: Iterator[bytes], layout: FileLayout) -> Iterator[list[bytes]]:
    """Yield the physical lines of one record after another."""
    if layout.is_json:
        yield from ([line] for line in lines)
        return
    waiting: deque[bytes] = deque()
    while True:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            return
        if line.count(b'"') % 2 == 0:
            yield [line]
        else:
            yield _quoted_record(line, waiting, lines, layout)


def _quoted_record(
    first: bytes, waiting: deque[bytes], lines: Iterator[bytes], layout: FileLayout
) -> list[bytes]:
    """Return the lines of a record whose first line leaves a quote open; one line if none closes."""
    taken = [first]

    def fed() -> Iterator[str]:
        yield _text(first)
        while len(taken) < _RECORD_LINES:
            line = waiting.popleft() if waiting else next(lines, None)
            if line is None:
                return
            taken.append(line)
            yield _text(line)

    try:
        cells = next(csv.reader(fed(), delimiter=layout.delimiter, strict=True), [])
        is_whole = len(cells) == len(layout.header)
    except csv.Error:
        is_whole = False
    if not is_whole:
        waiting.extendleft(reversed(taken[1:]))
        return [first]
    return taken


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _is_plain(line: bytes) -> bool:
    """Return whether Arrow reads the line as Python's csv module does."""
    return b'"' not in line and b"\0" not in line and b"\r" not in line.removesuffix(b"\r\n")


def _cells(record: Sequence[bytes], layout: FileLayout) -> tuple[list[str], str | None]:
    """Return a record's cells, and why it cannot be read."""
    text = [_text(line) for line in record]
    previous = csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        cells = next(csv.reader(text, delimiter=layout.delimiter, strict=True), [])
        if len(cells) != len(layout.header):
            return cells, f"{len(cells)} cells where the header has {len(layout.header)}"
    except csv.Error as error:
        return ["".join(text).strip()[:1000]], f"the line does not parse: {error}"
    finally:
        csv.field_size_limit(previous)
    return cells, next((fault for cell in cells if (fault := text_fault(cell))), None)


def _named(cells: Sequence[str], layout: FileLayout) -> dict[str, Any]:
    shown = [cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for cell in cells]
    return dict(zip(layout.header, shown, strict=False))


def _joined(
    quick: list[bytes],
    quick_lines: list[int],
    slow: list[tuple[int, list[str]]],
    bad: list[BadRecord],
    layout: FileLayout,
    wanted: Sequence[str],
) -> Records:
    names = [name for name in layout.header if name in wanted]
    body = b"".join(quick)
    if quick and not _is_utf8(body):
        kept = []
        for line, text in zip(quick_lines, quick, strict=True):
            cells, fault = _cells([text], layout)
            if fault:
                bad.append(BadRecord(line, fault, _named(cells, layout)))
            else:
                kept.append((line, text))
        quick_lines, body = [line for line, _ in kept], b"".join(text for _, text in kept)
    places = [layout.header.index(name) for name in names]
    columns = (
        _arrow_cells(body, layout, names) if body else [pa.array([], pa.string())] * len(names)
    )
    if slow:
        columns = [
            pa.concat_arrays([column, pa.array([cells[place] for _, cells in slow], pa.string())])
            for column, place in zip(columns, places, strict=True)
        ]
    lines = np.array(quick_lines + [line for line, _ in slow], dtype=np.int64)
    order = np.argsort(lines)
    if slow:
        columns = [column.take(pa.array(order)) for column in columns]
    bad.sort(key=lambda record: record.line)
    return Records(dict(zip(names, columns, strict=True)), lines[order], bad)


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
            delimiter=layout.delimiter, quote_char=False, ignore_empty_lines=False
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


def _read_json(part: Part, wanted: Sequence[str]) -> Records:
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    bad: list[BadRecord] = []
    for record in json_records(_text(line) for line in _physical(part.body)):
        line = part.first_line + record.line - 1
        if record.fault:
            bad.append(BadRecord(line, record.fault, record.cells))
            continue
        nested = [name for name in wanted if isinstance(record.cells.get(name), dict | list)]
        if nested:
            bad.append(BadRecord(line, f"{nested[0]}: must be a text or a number", record.cells))
            continue
        rows.append(record.cells)
        lines.append(line)
    cells = {
        name: pa.array([_as_cell(row.get(name)) for row in rows], pa.string()) for name in wanted
    }
    return Records(cells, np.array(lines, dtype=np.int64), bad)


def _as_cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)
