"""Bytes of a source file to raw records, streaming, whatever the file throws at us.

CSV (with a header) and JSON lines, either of them gzipped. A record that cannot be decoded is
still a record: it carries its fault, so that validation can quarantine it and nothing is lost.
"""

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from math import isfinite
from typing import Any, BinaryIO, NamedTuple

from noria.errors import DatasetSchemaError
from noria.spec.catalog import ROW_SUFFIXES

MAX_LINE_BYTES = 1_000_000  # a longer line is quarantined; also bounds memory
MAX_CELL_CHARACTERS = 2_000_000  # an unclosed quote swallows lines; this ends it
MAX_COLUMNS = 2_000
_COMPARED = 20  # names that are wanted, with ten times as many of the header
UNREAD_LINE = "(line)"  # the only cell of a line of JSON that cannot be read
CUT = "\ufffc(line too long)"  # stands in for a line that was cut; no real text holds it
_JSON_LINES = (".jsonl", ".json")

RawCells = dict[str, Any]  # by column; strings in CSV, JSON values in JSON lines


class RawRecord(NamedTuple):
    """One record of a source file."""

    line: int  # where it starts, from 1
    cells: RawCells
    fault: str | None  # why it cannot be read


class ByteBudget:
    """How many uncompressed bytes a run may still read; a gzip bomb stops here."""

    def __init__(
        self,
        max_bytes: int,
        advice: str = "dataset.max_bytes; train on fewer rows, or raise it with noria:size",
    ) -> None:
        self._max_bytes, self._advice = max_bytes, advice
        self.taken = 0

    def take(self, n_bytes: int, filename: str) -> None:
        """Count bytes; DatasetSchemaError when the run has read too many."""
        self.require(n_bytes, filename)
        self.taken += n_bytes

    def require(self, n_bytes: int, filename: str) -> None:
        """Raise DatasetSchemaError when so many bytes more are too many; they are not counted."""
        if self.taken + n_bytes > self._max_bytes:
            raise DatasetSchemaError(
                f"{filename}: more than {self._max_bytes:,} bytes uncompressed ({self._advice})",
                file=filename,
            )


def read_records(
    stream: BinaryIO, filename: str, budget: ByteBudget, *, delimiter: str = ","
) -> Iterator[RawRecord]:
    """Yield the records of one source file in order.

    Parameters
    ----------
    stream : binary stream, read once
    filename : str
        Its suffix tells the format; allowed are those of `ROW_SUFFIXES`.
    budget : ByteBudget
        Shared by all files of a run.
    delimiter : str
        CSV only.

    Raises
    ------
    DatasetSchemaError
        The file as a whole is not readable: wrong suffix, truncated or oversized archive, no
        header, an undecodable or repeated header name, a quote that never closes.
    """
    if not filename.endswith(ROW_SUFFIXES):
        raise DatasetSchemaError(
            f"{filename}: unknown format; allowed suffixes: {', '.join(ROW_SUFFIXES)}",
            file=filename,
        )
    is_gzip = filename.endswith(".gz")
    source: Any = gzip.GzipFile(fileobj=stream) if is_gzip else stream
    lines = _decoded(read_lines(source, filename, budget))
    if is_json_lines(filename):
        yield from json_records(lines)
    else:
        yield from _csv_records(lines, filename, delimiter)


def is_json_lines(filename: str) -> bool:
    """Return whether a file's name says JSON lines; such files have no header."""
    return filename.removesuffix(".gz").endswith(_JSON_LINES)


def read_lines(source: BinaryIO, filename: str, budget: ByteBudget) -> Iterator[bytes]:
    """Yield physical lines; a line above the limit comes as its first bytes plus a mark."""
    with readable(filename):
        while line := source.readline(MAX_LINE_BYTES):
            budget.take(len(line), filename)
            is_cut = len(line) == MAX_LINE_BYTES and not line.endswith(b"\n")
            while is_cut and (rest := source.readline(MAX_LINE_BYTES)):
                budget.take(len(rest), filename)
                if rest.endswith(b"\n"):
                    break
            yield CUT.encode() + b"\n" if is_cut else line


@contextmanager
def readable(filename: str) -> Iterator[None]:
    """Turn a damaged archive into a DatasetSchemaError."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetSchemaError(
            f"{filename}: the gzip archive is damaged or truncated: {error}", file=filename
        ) from error


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """Yield text; bytes that are not UTF-8 become lone surrogates, found later by record."""
    for number, line in enumerate(lines):
        text = line.decode("utf-8", errors="surrogateescape")
        yield text.removeprefix("\ufeff") if number == 0 else text


def _csv_records(lines: Iterable[str], filename: str, delimiter: str) -> Iterator[RawRecord]:
    previous = csv.field_size_limit(MAX_CELL_CHARACTERS)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    started = 1
    try:
        header = checked_header(next(reader, []), filename, delimiter)
        started = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _csv_record(started, cells, header)
            started = reader.line_num + 1
    except csv.Error as error:
        raise DatasetSchemaError(
            f"{filename}: the record starting at line {started} does not parse: {error}; "
            "look for a quote that is never closed",
            file=filename,
            line=started,
        ) from error
    finally:
        csv.field_size_limit(previous)


def checked_header(cells: list[str], filename: str, delimiter: str) -> list[str]:
    """Return the column names; DatasetSchemaError where they cannot be told."""
    header = [cell.strip() for cell in cells]
    if len(header) > MAX_COLUMNS:
        raise DatasetSchemaError(
            f"{filename}: {len(header):,} columns; at most {MAX_COLUMNS:,} are read; "
            f"is the delimiter really {delimiter!r}?",
            file=filename,
        )
    if not any(header):
        raise DatasetSchemaError(f"{filename}: empty; a header line is required", file=filename)
    for name in header:
        if text_fault(name):
            raise DatasetSchemaError(
                f"{filename}: the header is not readable UTF-8; save the file as UTF-8",
                file=filename,
            )
    counts = Counter(header)
    repeated = [place for place, name in enumerate(header, start=1) if counts[name] > 1]
    if repeated:
        raise DatasetSchemaError(
            f"{filename}: repeated columns: numbers {repeated[:20]} of the header", file=filename
        )
    if len(header) == 1 and (other := next((c for c in ";\t|" if c in header[0]), None)):
        raise DatasetSchemaError(
            f"{filename}: one column only, split by {delimiter!r}; "
            f"the header suggests dataset.delimiter = {other!r}",
            file=filename,
        )
    return header


def said_of_header(wanted: Iterable[str], header: Iterable[str]) -> str:
    """Return the end of an error on absent columns: how many there are, and what resembles them.

    Other names are not quoted: in a file without a header line they are cells.
    """
    names, few = [*header], sorted(wanted)[:_COMPARED]
    near = names[: 10 * _COMPARED]
    similar = {m for name in few for m in get_close_matches(name, near, n=1, cutoff=0.75)}
    shown = f", among them {sorted(similar)[:20]}" if similar else ", none of a similar name"
    return f"; the file has {len(names)} columns{shown}; is the first line a header?"


def _csv_record(line: int, cells: list[str], header: list[str]) -> RawRecord:
    fault = next((fault for cell in cells if (fault := text_fault(cell))), None)
    if fault is None and len(cells) != len(header):
        fault = f"{len(cells)} cells where the header has {len(header)}"
    record = {
        name: cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if fault else cell
        for name, cell in zip(header, cells, strict=False)
    }
    return RawRecord(line, record, fault)


def json_records(lines: Iterable[str]) -> Iterator[RawRecord]:
    """Yield the record of each line that holds JSON; blank lines hold none."""
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        fault = text_fault(text)
        value: Any = None
        if fault is None:
            try:
                value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
                json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no text
            except (ValueError, RecursionError) as error:
                fault = f"not valid JSON: {error}"
            else:
                fault = None if isinstance(value, Mapping) else "not a JSON object"
        if fault:
            shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
            value = {UNREAD_LINE: shown[:1000]}
        yield RawRecord(number, dict(value), fault)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:40]} is beyond the range of a number")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


@contextmanager
def long_cells() -> Iterator[None]:
    """Let the csv module read cells of up to `MAX_CELL_CHARACTERS`; its own limit is 131,072."""
    previous = csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(previous)


def text_fault(text: str) -> str | None:
    """Return why a text cannot be kept, None where it can."""
    if CUT in text:
        return f"a line has more than {MAX_LINE_BYTES:,} bytes"
    if "\x00" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"not UTF-8 at character {error.start + 1}"
    return None
