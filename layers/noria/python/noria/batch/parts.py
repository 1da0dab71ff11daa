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
_QUOTE = 34
NEWLINE, RETURN = 10, 13


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
        After the header.
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
    for run in record_runs(source, layout, budget, filename):
        n_lines = np.searchsorted(line_ends(run.body), run.ends, side="right")
        first, passed, at = 0, 0, 0
        while at < len(run.ends) and quota.left:
            taken = min(quota.room, len(run.ends) - at)
            at += taken
            last, lines = int(run.ends[at - 1]), int(n_lines[at - 1])
            yield run.body[first:last], lines - passed, taken, quota.take(taken)
            first, passed = last, lines
        if not quota.left:
            return


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


class Run(NamedTuple):
    """Records that follow each other, as they were written."""

    body: bytes
    ends: NDArray[np.int64]  # where each record ends
    is_regular: bool  # whether quotes are as RFC 4180 says, and no odd sign is among them


def record_runs(
    source: BinaryIO, layout: FileLayout, budget: ByteBudget, filename: str
) -> Iterator[Run]:
    """Yield all records: regular ones a block at a time, others one by one.

    The records are those of `whole_records`; DatasetSchemaError as in `split_records`.
    """
    left = b""  # has no regular record yet
    while block := left + _whole_lines(source, filename):
        ends, goes_on = _regular_ends(block, layout)
        end = int(ends[-1]) if len(ends) else 0
        if end:
            budget.take(end, filename)
            yield Run(block[:end], ends, is_regular=True)
        is_last = len(block) == len(left)
        left = block[end:]
        if left and (is_last or not goes_on):
            rest = _Rest(left, source)
            ahead = _LinesAhead(read_lines(cast(BinaryIO, rest), filename, budget), layout)
            for record in _until_read(ahead, rest):
                body = b"".join(record)
                yield Run(body, np.array([len(body)]), is_regular=False)
            left = ahead.left()
            budget.taken -= len(left)


def _until_read(ahead: "_LinesAhead", rest: "_Rest") -> Iterator[list[bytes]]:
    """Yield records until all lines are in one that were read when `rest` was used up."""
    n_left: int | None = None
    while (n_left is None or n_left > 0) and (record := ahead.record()):
        yield record
        if n_left is not None:
            n_left -= len(record)
        elif rest.is_used_up():
            n_left = len(ahead)


def _regular_ends(block: bytes, layout: FileLayout) -> tuple[NDArray[np.int64], bool]:
    """Return where the regular records at the start of a block end.

    Returns
    -------
    tuple of (array, bool)
        The second is whether the rest may be a regular record that ends in the next block.
    """
    lines, fault = line_ends(block), len(block)
    is_end = np.ones(len(lines), dtype=bool)
    if not layout.is_json and any(sign in block for sign in (b'"', b"\0", b"\r")):
        fault = _first_fault(block, layout.delimiter)
        is_end = _are_outside(block, lines)
    places = np.flatnonzero(is_end & (lines <= fault))
    ends, n_lines = lines[places], np.diff(places, prepend=-1)
    is_odd = np.diff(ends, prepend=0) >= MAX_LINE_BYTES
    if (n_lines > 1).any():
        is_whole = n_breaks(block, ends, layout) == len(layout.header) - 1
        is_odd |= (n_lines > 1) & (~is_whole | (n_lines > _RECORD_LINES))
    if is_odd.any():
        return ends[: int(np.argmax(is_odd))], False
    n_open = len(lines) - 1 - int(places[-1]) if len(places) else len(lines)
    size = len(block) - (int(ends[-1]) if len(ends) else 0)
    return ends, fault == len(block) and n_open <= _RECORD_LINES and size < MAX_LINE_BYTES


def _first_fault(block: bytes, delimiter: str) -> int:
    """Return where a block first has a quote inside a cell, a NUL or a lone return; else its size."""
    octets = np.frombuffer(b"\n" + block + b"\n\n", dtype=np.uint8)  # octet i is at i + 1
    quotes = np.flatnonzero(octets == _QUOTE)
    opening, closing = quotes[::2], quotes[1::2]
    returns = np.flatnonzero(octets == RETURN)
    about = np.array([ord(delimiter), NEWLINE, _QUOTE], dtype=np.uint8)
    before, after = octets[opening - 1], octets[closing + 1]
    is_line_end = (after == RETURN) & (octets[closing + 2] == NEWLINE)
    faults = (
        opening[~np.isin(before, about)],
        closing[~(np.isin(after, about) | is_line_end)],
        np.flatnonzero(octets == 0),
        returns[octets[returns + 1] != NEWLINE],
    )
    return min([int(places[0]) - 1 for places in faults if len(places)], default=len(block))


def _are_outside(block: bytes, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether places of a block have as many quotes opened as closed before them."""
    quotes = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == _QUOTE)
    outside: NDArray[np.bool_] = np.searchsorted(quotes, places) % 2 == 0
    return outside


def n_breaks(block: bytes, ends: NDArray[np.int64], layout: FileLayout) -> NDArray[np.int64]:
    """Return how many delimiters outside quotes each of a block's regular records has."""
    breaks = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord(layout.delimiter))
    if b'"' in block:
        breaks = breaks[_are_outside(block, breaks)]
    return np.diff(np.searchsorted(breaks, ends), prepend=0)


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
        self._block, self._size, self._source = BytesIO(block), len(block), source

    def readline(self, limit: int) -> bytes:
        """Return the next line, or as much of it as `limit` allows."""
        line = self._block.readline(limit)
        if line.endswith(b"\n") or len(line) == limit:
            return line
        return line + self._source.readline(limit - len(line))

    def is_used_up(self) -> bool:
        """Return whether all that was put back has been read."""
        return self._block.tell() == self._size


def whole_records(lines: Iterator[bytes], layout: FileLayout) -> Iterator[list[bytes]]:
    """Yield the physical lines of one record after another."""
    ahead = _LinesAhead(lines, layout)
    while record := ahead.record():
        yield record


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

    def __len__(self) -> int:
        return len(self._lines_ahead)

    def left(self) -> bytes:
        """Return the lines ahead."""
        return b"".join(self._lines_ahead)

    def record(self) -> list[bytes]:
        """Take the lines of the next record; none where there is no more."""
        line = self._next()
        if line is None:
            return []
        more = self._n_of_record(line) if b'"' in line and not self._layout.is_json else 0
        return [line, *(self._next() or b"" for _ in range(more))]

    def _next(self) -> bytes | None:
        if not self._lines_ahead:
            return next(self._lines, None)
        if self._open:
            self._passed = self._open.popleft()
        else:
            self._last = None
        return self._lines_ahead.popleft()

    def _n_of_record(self, first: bytes) -> int:
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
