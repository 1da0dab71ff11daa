"""A file in parts of whole records: a bad record never takes others with it.

Training refuses a file with a quote that never closes, because its rows cannot be told apart. A
batch has promised an answer to every other row, so here such a line is one bad record, and reading
goes on after it. Splitting and reading use the same function, so a part holds whole records.
"""

import csv
import sys
from collections import deque
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from typing import BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from noria.data.parsing import (
    MAX_LINE_BYTES,
    ByteBudget,
    checked_header,
    long_cells,
    read_lines,
    readable,
)
from noria.records.batch import FileLayout

_RECORD_LINES = 1_000  # a quoted cell may hold this many line ends; after that, it never closes
_PART_BYTES = 32 << 20  # parts of long texts hold fewer rows
_BLOCK_BYTES = 1 << 20
NEWLINE = 10


class Part(NamedTuple):
    """Some records of a file, as they were written."""

    first_line: int  # of the file, from 1
    body: bytes
    n_records: int = 0  # blank lines too


def read_header(
    lines: Iterator[bytes], filename: str, delimiter: str
) -> tuple[tuple[str, ...], int]:
    """Return the columns of a CSV file and how many lines its header takes.

    DatasetSchemaError names what is wrong with it.
    """
    n_lines = 0

    def texts() -> Iterator[str]:
        nonlocal n_lines
        for line in lines:
            n_lines += 1
            yield line.decode("utf-8-sig" if n_lines == 1 else "utf-8", "surrogateescape")

    try:
        cells = next(csv.reader(texts(), delimiter=delimiter, strict=True), [])
    except csv.Error:
        cells = []
    return tuple(checked_header(cells, filename, delimiter)), n_lines


def split_records(
    source: BinaryIO,
    layout: FileLayout,
    first_line: int,
    rows_per_part: int,
    budget: ByteBudget,
    filename: str,
    limit: int | None = None,
) -> Iterator[Part]:
    """Yield parts of at most `rows_per_part` records, in order, of the first `limit` records.

    Parameters
    ----------
    source : binary stream
        After the header. While no quote comes, a line is a record, and lines are counted a
        block at a time; from the first quote on, record by record.
    first_line : int
        Of the file, from 1, where `source` stands.

    Raises
    ------
    DatasetSchemaError
        The archive is damaged, or the budget is used up.
    """
    body: list[bytes] = []
    started, line, size, n = first_line, first_line, 0, 0
    quota = _Quota(rows_per_part, limit or sys.maxsize)
    for piece, n_lines, n_records, is_full in _pieces(source, layout, quota, budget, filename):
        body.append(piece)
        line, size, n = line + n_lines, size + len(piece), n + n_records
        if is_full or size >= _PART_BYTES:
            yield Part(started, b"".join(body), n)
            body, started, size, n = [], line, 0, 0
    if body:
        yield Part(started, b"".join(body), n)


def _pieces(
    source: BinaryIO, layout: FileLayout, quota: "_Quota", budget: ByteBudget, filename: str
) -> Iterator[tuple[bytes, int, int, bool]]:
    """Yield (bytes, their lines, their records, whether they fill a part)."""
    while quota.left and (block := _whole_lines(source, filename)):
        ends = line_ends(block)
        is_quoted = b'"' in block and not layout.is_json
        if is_quoted or int(np.diff(ends, prepend=0).max()) >= MAX_LINE_BYTES:
            lines = read_lines(cast(BinaryIO, _Rest(block, source)), filename, budget)
            for record in islice(whole_records(lines, layout), quota.left):
                yield b"".join(record), len(record), 1, quota.take(1)
            return
        budget.take(len(block), filename)
        first, at = 0, 0
        while at < len(ends) and quota.left:
            taken = min(quota.room, len(ends) - at)
            at += taken
            last = int(ends[at - 1])
            yield block[first:last], taken, taken, quota.take(taken)
            first = last


class _Quota:
    """How many records the part at hand still takes, and all parts together."""

    def __init__(self, per_part: int, left: int) -> None:
        self._per_part, self.left = per_part, left
        self.room = min(per_part, left)

    def take(self, n: int) -> bool:
        """Count records; return whether the part is full."""
        self.left -= n
        self.room -= n
        if self.room:
            return False
        self.room = min(self._per_part, self.left)
        return True


def _whole_lines(source: BinaryIO, filename: str) -> bytes:
    with readable(filename):
        block = source.read(_BLOCK_BYTES)
        return block if block.endswith(b"\n") else block + source.readline(MAX_LINE_BYTES)


def line_ends(block: bytes) -> NDArray[np.int64]:
    """Return where each line ends, its line break included."""
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == NEWLINE) + 1
    return ends if len(ends) and ends[-1] == len(block) else np.append(ends, len(block))


class _Rest:
    """What was read of a stream, put back before it."""

    def __init__(self, block: bytes, source: BinaryIO) -> None:
        self._block, self._source = BytesIO(block), source

    def readline(self, limit: int) -> bytes:
        """Return the next line, or as much of it as `limit` allows."""
        line = self._block.readline(limit)
        if line.endswith(b"\n") or len(line) == limit:
            return line
        return line + self._source.readline(limit - len(line))


def whole_records(lines: Iterator[bytes], layout: FileLayout) -> Iterator[list[bytes]]:
    """Yield the physical lines of one record after another."""
    if layout.is_json:
        yield from ([line] for line in lines)
        return
    ahead = _LinesAhead(lines, layout)
    while (line := ahead.next()) is not None:
        more = ahead.n_of_record(line) if b'"' in line else 0
        yield [line, *(ahead.next() or b"" for _ in range(more))]


class _LinesAhead:
    """Lines that are read before it is known whose record they belong to.

    A quote that one line leaves open is closed by a later one, whichever line has opened it. So
    each line is looked at once for what it does inside a quote, and a file of quotes that never
    close takes no longer than any other.
    """

    def __init__(self, lines: Iterator[bytes], layout: FileLayout) -> None:
        self._lines, self._layout = lines, layout
        self._lines_ahead: deque[bytes] = deque()
        # Of the first lines ahead, those that leave an open quote open: how many cells they and
        # all before them have added. Then what the line after them adds; -1 where it is no CSV.
        self._open: deque[int] = deque()
        self._last: int | None = None
        self._passed = self._total = 0  # cells added by lines that were taken, and by all

    def next(self) -> bytes | None:
        """Take the next line."""
        if not self._lines_ahead:
            return next(self._lines, None)
        if self._open:
            self._passed = self._open.popleft()
        else:
            self._last = None
        return self._lines_ahead.popleft()

    def n_of_record(self, first: bytes) -> int:
        """Return how many of the lines ahead belong to the record that a line begins.

        None of them where the line is a record itself, where its quote does not close within
        `_RECORD_LINES`, and where that would give another number of cells than the header has.
        """
        text = decoded(first)
        n_cells = None if self._n_cells(text) is not None else self._n_cells(f'{text}"')
        if n_cells is None or not self._find_last():
            return 0
        added = (self._open[-1] if self._open else self._passed) - self._passed
        n_cells += added + (self._last or 0)
        return len(self._open) + 1 if n_cells == len(self._layout.header) else 0

    def _find_last(self) -> bool:
        """Look for the line that closes an open quote; return whether one does."""
        while self._last is None and len(self._open) <= _RECORD_LINES - 2:
            if len(self._lines_ahead) == len(self._open):
                line = next(self._lines, None)
                if line is None:
                    return False
                self._lines_ahead.append(line)
            inside = f'"{decoded(self._lines_ahead[len(self._open)])}'
            n_cells = self._n_cells(inside)
            if n_cells is None and (n_cells := self._n_cells(f'{inside}"')) is not None:
                self._total += n_cells - 1
                self._open.append(self._total)
            else:
                self._last = -1 if n_cells is None else n_cells - 1
        return self._last is not None and self._last >= 0

    def _n_cells(self, text: str) -> int | None:
        """Return the number of cells of one record; None where it is none, or not whole."""
        with long_cells():
            try:
                return len(next(csv.reader([text], delimiter=self._layout.delimiter, strict=True)))
            except csv.Error:
                return None


def decoded(line: bytes) -> str:
    """Return text; bytes that are not UTF-8 become lone surrogates."""
    return line.decode("utf-8", "surrogateescape")


def physical_lines(body: bytes) -> Iterator[bytes]:
    """Yield lines with their breaks."""
    return iter(BytesIO(body))
