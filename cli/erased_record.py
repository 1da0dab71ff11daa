"""One record by its id: whether a file holds it, and the file without it.

Files are read by their format, so that the id of one record is not found inside another's number
or text. What only mentions the id, as a text may, is seen and left.
"""

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from markupsafe import escape

from cli.sieve import Sieve, Without, strings_in, texts_of
from noria.batch.parquet import as_csv_cells
from noria.batch.parts import decoded, whole_records
from noria.batch.reading import as_cell, is_displaced
from noria.batch.results import OUTPUTS, inert
from noria.data.parsing import UNREAD_LINE, ByteBudget, is_json_lines, long_cells, read_records
from noria.data.validation import ID
from noria.errors import DatasetSchemaError
from noria.monitoring.filed_rows import FiledRows, numbers_of
from noria.records.batch import FileLayout
from noria.spec.catalog import PARQUET, ROW_SUFFIXES
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.ids import hashed_record_id
from noria.storage.keys import REFUSED_SUFFIX

Line = dict[str, Any]
SHORTEST_WORD = 4  # a shorter id is a word of too many texts: it is looked for in id columns only
_BLOCK_BYTES, _ROWS = 1 << 20, 10_000
_ARROW_STREAM = b"\xff\xff\xff\xff"
_RESERVED = {"line", *OUTPUTS}  # of results: an id column named like one is `id_<name>`


class Record:
    """One record of a project."""

    def __init__(self, record_id: str, spec: ProjectSpec) -> None:
        self._id, self._spec, self._columns = record_id, spec, spec.id_columns
        self.hashed = hashed_record_id(spec.name, record_id)
        self._logged_ids = {record_id, self.hashed}
        self.predictions: set[str] = set()  # ids of its answers, as far as they are known
        self._in_page = str(escape(record_id)).encode()
        written = {json.dumps(record_id, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
        written |= {record_id, record_id.replace('"', '""')}
        self._forms = {self._in_page, *(form.encode() for form in written)}
        self._longest = max(map(len, self._forms)) + 8  # with what stands beside it
        # No part of a longer word or of a decimal number.
        before = rb"(?<![\w-])" + (rb"(?<!\d\.)" if record_id[:1].isdigit() else b"")
        after = rb"(?![\w-])" + (rb"(?!\.\d)" if record_id[-1:].isdigit() else b"")
        shown = b"|".join(re.escape(form) for form in self._forms)
        self._word = re.compile(before + b"(?:" + shown + b")" + after)

    def mentions(self, body: bytes) -> bool:
        """Return whether the id stands in bytes as a word; never for ids under 4 characters.

        A line of JSON is read where it has escapes: the letter of one is no part of a word.
        """
        if len(self._id) < SHORTEST_WORD:
            return False
        if b"\\" not in body or not body.lstrip().startswith((b"{", b"[")):
            return self._has_word(body)
        try:
            return any(self._has_word(text.encode()) for text in strings_in(json.loads(body)))
        except (ValueError, RecursionError):
            return self._has_word(body)

    def learn(self, stream: BinaryIO) -> None:
        """Note the ids of its answers in the log, filed answers or Firehose's failed lines."""
        for line in stream:
            entry = _as_object(line)
            packed = entry.get("rawData")
            if isinstance(packed, str):
                with suppress(ValueError):  # no line of the log
                    self.learn(io.BytesIO(base64.b64decode(packed)))
            answer = entry.get("prediction_id")
            if isinstance(answer, str) and _one_of(entry, "record_id", self._logged_ids):
                self.predictions.add(answer)

    def without_log_lines(self, stream: BinaryIO, sieve: Sieve) -> None:
        """Take its lines out of the prediction log or of filed answers."""
        _sift(stream, sieve, self._is_logged)

    def without_rows(self, stream: BinaryIO, sieve: Sieve) -> None:
        """Take its rows out of the filed answers to a part of a batch."""
        rows = FiledRows.from_bytes(stream.read())
        is_own = rows.named(numbers_of(self._spec.name, self._id))
        sieve.n_removed = int(is_own.sum())
        sieve.keep_numbers(rows.at_rows(~is_own).to_bytes())

    def without_failed_lines(self, stream: BinaryIO, sieve: Sieve) -> None:
        """Take its lines out of what Firehose gave up on: lines of the log, packed in base 64."""
        for outer in stream:
            entry = _as_object(outer)
            try:
                raw = base64.b64decode(entry["rawData"], validate=True)
            except (KeyError, TypeError, ValueError):
                sieve.keep(outer)
                continue
            lines = raw.splitlines(keepends=True)
            kept = [line for line in lines if not self._is_logged(_as_object(line))]
            sieve.n_removed += len(lines) - len(kept)
            for line in kept:
                sieve.note(line)
            if len(kept) == len(lines):
                sieve.keep(outer)
            elif kept:
                packed = base64.b64encode(b"".join(kept)).decode()
                sieve.keep(json.dumps({**entry, "rawData": packed}).encode() + b"\n")

    def without_labels(self, stream: BinaryIO, sieve: Sieve) -> None:
        """Take its labels out of those of a request."""
        document = _as_object(stream.read())
        kept = [label for label in document["labels"] if not self._is_logged(label)]
        sieve.n_removed = len(document["labels"]) - len(kept)
        sieve.keep(canonical_json({**document, "labels": kept}))

    def without_head_rows(self, stream: BinaryIO, sieve: Sieve) -> None:
        """Take its row out of the first rows that a batch's outcome or a part's summary shows."""
        document = _as_object(stream.read())
        counts: Line = (document.get("counts") if "counts" in document else document) or {}
        head = counts.get("head") or []
        kept = [row for row in head if not self._is_in_result(row)]
        sieve.n_removed = len(head) - len(kept)
        if sieve.n_removed:
            counts["head"] = kept
        sieve.keep(canonical_json(document))

    def without_results(self, key: str) -> Without | None:
        """Return what takes its rows out of a result file; None where the format has no rows."""
        name = key.removesuffix(".gz")
        if key.endswith(REFUSED_SUFFIX):
            return lambda stream, sieve: _sift(stream, sieve, self._is_refused)
        if name.endswith(".jsonl"):
            return lambda stream, sieve: _sift(stream, sieve, self._is_in_result)
        if name.endswith(PARQUET):
            return self._without_in_parquet
        return self._without_in_csv if name.endswith(".csv") else None

    def is_in_part(self, body: bytes, layout: FileLayout | None) -> bool:
        """Return whether a part of a batch's input holds the record.

        Without a layout the file was refused, and where its columns are is not known.
        """
        if not self._columns:
            return False
        if layout is None or layout.is_json:
            return any(self._is_in_json(line) for line in io.BytesIO(body))
        if not self._has_word(body):
            return False
        places = [n for n, name in enumerate(layout.header) if name in self._columns]
        for lines in whole_records(iter(io.BytesIO(body)), layout):
            cells = _cells(lines, layout.delimiter)
            if len(cells) == len(layout.header):
                if any(cells[place] == self._id for place in places):
                    return True
            elif self._has_word(b"".join(lines)):
                return True
        return False

    def is_in_page(self, body: bytes) -> bool:
        """Return whether a cell of a page's table is the id."""
        return bool(re.search(rb">\s*" + re.escape(self._in_page) + rb"\s*<", body))

    def is_in_file(self, name: str, stream: BinaryIO) -> bool:
        """Return whether a file holds the id in an id column, or mentions it."""
        plain = name.removesuffix(".gz")  # the stream is unpacked
        if plain.endswith(PARQUET):
            return self._is_in_tables(_parquet_tables(stream))
        if is_json_lines(plain):
            return any(self._is_in_json(line) or self.mentions(line) for line in stream)
        if len(self._id) < SHORTEST_WORD and plain.endswith(ROW_SUFFIXES):
            return self._is_in_rows(plain, stream)
        block, tail = stream.read(_BLOCK_BYTES), b""
        if block.startswith(_ARROW_STREAM):
            return self._is_in_tables(_stream_tables(block + stream.read()))
        if len(self._id) < SHORTEST_WORD:
            return False
        while block:
            following = stream.read(_BLOCK_BYTES)
            body = tail + block
            # What touches the end may be part of a longer word.
            if any(m.end() < len(body) or not following for m in self._word.finditer(body)):
                return True
            tail, block = body[-self._longest :], following
        return False

    def _has_word(self, body: bytes) -> bool:
        return any(form in body for form in self._forms) and bool(self._word.search(body))

    def _is_id(self, value: Any) -> bool:
        return value is not None and as_cell(value) == self._id

    def _is_in_json(self, line: bytes) -> bool:
        """Return whether a line of JSON holds the id; one that is none of JSON, anywhere."""
        cells = _as_object(line)
        if not cells:
            return self._has_word(line)
        held = [cells, cells["cells"]] if isinstance(cells.get("cells"), dict) else [cells]
        return any(self._is_id(part.get(name)) for part in held for name in self._names())

    def _names(self) -> set[str]:
        """Return what the id columns may be called in a file; and in dataset versions."""
        aliases = self._spec.column_aliases
        return {
            *self._columns,
            ID,
            "record_id",
            *(a for a, name in aliases.items() if name in self._columns),
        }

    def _is_in_rows(self, name: str, stream: BinaryIO) -> bool:
        wanted, budget = self._names(), ByteBudget(1 << 62)
        return any(
            self._is_id(record.cells.get(column))
            for record in read_records(stream, name, budget, delimiter=self._spec.dataset.delimiter)
            for column in wanted
        )

    def _is_in_tables(self, tables: Iterable[pa.Table]) -> bool:
        names = self._names()
        return any(
            pc.any(self._rows_of(table, {*names, *self._shown(table.column_names)})).as_py()
            or any(self.mentions(cell.encode()) for cell in texts_of(table))
            for table in tables
        )

    def _is_logged(self, line: Line) -> bool:
        is_own = _one_of(line, "record_id", self._logged_ids)
        return is_own or _one_of(line, "prediction_id", self.predictions)

    def _is_refused(self, line: Line) -> bool:
        cells = line.get("cells") or {}
        if any(self._is_id(cells.get(name)) for name in self._columns):
            return True
        if UNREAD_LINE in cells:
            return self._has_word(str(cells[UNREAD_LINE]).encode())
        reasons = [str(error.get("reason")) for error in line.get("errors") or ()]
        return any(map(is_displaced, reasons)) and any(
            self._is_id(cell) or self.mentions(str(cell).encode()) for cell in cells.values()
        )

    def _is_in_result(self, row: Line) -> bool:
        return any(self._is_id(row.get(name)) for name in self._shown(list(row)))

    def _shown(self, header: Sequence[str]) -> list[str]:
        """Return the id columns among a result's: an id named like another column is `id_<name>`."""
        return [
            f"id_{name}"
            if name in _RESERVED or (f"id_{name}" in header and f"id_{name}" not in self._columns)
            else name
            for name in self._columns
        ]

    def _without_in_csv(self, stream: BinaryIO, sieve: Sieve) -> None:
        first: list[bytes] = []

        def texts() -> Iterator[str]:
            for line in stream:
                first.append(line)
                yield decoded(line)

        header = next(csv.reader(texts()), [])
        sieve.keep(b"".join(first))
        # Cells that a spreadsheet would run have an apostrophe before them, names of columns too.
        names = self._shown([name.removeprefix("'") for name in header])
        wanted = inert(pa.array(names, pa.string())).to_pylist()
        places = [place for place, name in enumerate(header) if name in wanted]
        (shown,) = inert(pa.array([self._id])).to_pylist()
        layout = FileLayout(is_json=False, header=tuple(header))
        for lines in whole_records(iter(stream), layout):
            cells = _cells(lines, ",")
            if any(cells[place] == shown for place in places if place < len(cells)):
                sieve.n_removed += 1
            else:
                sieve.keep(b"".join(lines))

    def _without_in_parquet(self, stream: BinaryIO, sieve: Sieve) -> None:
        writer = None
        for table in _parquet_tables(stream):
            writer = writer or sieve.writer(table.schema)
            is_it = self._rows_of(table, self._shown(table.column_names))
            sieve.n_removed += pc.sum(is_it).as_py() or 0
            kept = table.filter(pc.invert(is_it))
            sieve.note_texts(kept)
            if writer:
                writer.write_table(kept)
        if writer:
            writer.close()

    def _rows_of(self, table: pa.Table, names: Collection[str]) -> pa.Array:
        is_it = pa.array([False] * len(table), pa.bool_())
        for name in set(names).intersection(table.column_names):
            if pa.types.is_nested(table[name].type):
                continue  # a batch takes none
            equal = [cell == self._id for cell in as_csv_cells(table[name])]
            is_it = pc.or_(is_it, pa.array(equal, pa.bool_()))
        return is_it


def _one_of(line: Line, name: str, ids: set[str]) -> bool:
    value = line.get(name)
    return isinstance(value, str) and value in ids


def _parquet_tables(stream: BinaryIO) -> Iterator[pa.Table]:
    """Yield the tables of a Parquet file; DatasetSchemaError where it is damaged."""
    try:
        found = pyarrow.parquet.ParquetFile(stream)
        for batch in found.iter_batches(_ROWS):
            yield pa.Table.from_batches([batch])
    except OSError as error:  # Arrow's own, of broken pages and footers
        raise DatasetSchemaError(f"not a readable Parquet file: {error}") from error


def _stream_tables(body: bytes) -> Iterator[pa.Table]:
    with pa.ipc.open_stream(body) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _sift(stream: BinaryIO, sieve: Sieve, is_it: Callable[[Line], bool]) -> None:
    for line in stream:
        if is_it(_as_object(line)):
            sieve.n_removed += 1
        else:
            sieve.keep(line)


def _cells(lines: Sequence[bytes], delimiter: str) -> list[str]:
    """Return the cells of one record of CSV; of one that is none, nothing."""
    texts = [decoded(line) for line in lines]
    with long_cells():
        try:
            return next(csv.reader(texts, delimiter=delimiter, strict=True), [])
        except csv.Error:
            return []


def _as_object(line: bytes) -> Line:
    """Return a line's JSON object; an empty one where it is none of Noria's."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
