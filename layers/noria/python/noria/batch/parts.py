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
_CHAIN_LINES = 100
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
    """Yield the physical lines of one record after another.

    Where a quote does not close within `_CHAIN_LINES`, the lines that it would have swallowed are
    records of their own, else a file of such lines would be read a thousand times over.
    """
    if layout.is_json:
        yield from ([line] for line in lines)
        return
    waiting: deque[bytes] = deque()
    n_alone = 0  # of the lines that wait: of these each is a record
    while True:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            return
        if n_alone or b'"' not in line:
            n_alone = max(n_alone - 1, 0)
            yield [line]
            continue
        record = _quoted_record(line, waiting, lines, layout)
        if len(record) == 1 and len(waiting) >= _CHAIN_LINES:
            n_alone = len(waiting) - 1
        yield record


def _quoted_record(
    first: bytes, waiting: deque[bytes], lines: Iterator[bytes], layout: FileLayout
) -> list[bytes]:
    """Return the lines of a record that begins on a line with a quote; that line if none closes."""
    taken = [first]

    def fed() -> Iterator[str]:
        yield decoded(first)
        while len(taken) < _RECORD_LINES:
            line = waiting.popleft() if waiting else next(lines, None)
            if line is None:
                return
            taken.append(line)
            yield decoded(line)

    with long_cells():
        try:
            cells = next(csv.reader(fed(), delimiter=layout.delimiter, strict=True), [])
            is_whole = len(taken) == 1 or len(cells) == len(layout.header)
        except csv.Error:
            is_whole = False
    if not is_whole:
        waiting.extendleft(reversed(taken[1:]))
        return [first]
    return taken


def decoded(line: bytes) -> str:
    """Return text; bytes that are not UTF-8 become lone surrogates."""
    return line.decode("utf-8", "surrogateescape")


def physical_lines(body: bytes) -> Iterator[bytes]:
    """Yield lines with their breaks."""
    return iter(BytesIO(body))
