"""Raw records to typed rows: each record becomes a row, a rejected record or a duplicate."""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple

from noria.data.parsing import RawCells, RawRecord, is_json_lines, said_of_header
from noria.data.targets import TargetReader
from noria.data.values import as_number, kind_of, normalized, utc
from noria.errors import DatasetSchemaError
from noria.records.bundle import TargetContract
from noria.records.dataset import RejectedExample, ValidationReport
from noria.spec.model import TWO_CLASS_RULES, ColumnSpec, ProjectSpec
from noria.storage.hashing import canonical_json, sha256_hex, short_id

Row = dict[str, Any]
TARGET, TIME, ID = "_target", "_time", "_id"  # beside the input columns in a typed row
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_GZIP = 16 + zlib.MAX_WBITS  # zlib's sign for a gzip header, without a time
_EXAMPLES, _REASONS = 20, 50  # shown in the report; the quarantine holds all


class Rejected(NamedTuple):
    """One record that did not become a row."""

    file: str
    line: int
    reasons: list[str]
    cells: RawCells


class Quarantine:
    """The records that did not become rows: all of them compressed, a few to look at."""

    def __init__(self) -> None:
        self.examples: list[Rejected] = []
        self.reasons: Counter[str] = Counter()  # a record may have several
        self._n = 0
        self._buffer = BytesIO()
        self._compressor = zlib.compressobj(wbits=_GZIP)

    def __len__(self) -> int:
        return self._n

    def add(self, rejected: Rejected) -> None:
        """Take a record in."""
        self._n += 1
        self.reasons.update(rejected.reasons)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(rejected)
        line = canonical_json(rejected._asdict()) + b"\n"
        self._buffer.write(self._compressor.compress(line))

    def to_bytes(self) -> bytes:
        """Return all records as gzipped JSON lines; nothing can be added after."""
        self._buffer.write(self._compressor.flush())
        return self._buffer.getvalue()


@dataclass
class Validation:
    """What became of every record of the source files."""

    rows: list[Row] = field(default_factory=list)
    rejected: Quarantine = field(default_factory=Quarantine)
    n_records: int = 0
    n_duplicates: int = 0
    n_unlabelled: int = 0
    n_without_text: int = 0  # nothing to read in any text column
    n_filtered: int = 0  # outside dataset.filters
    n_gaps: int = 0  # left out by dataset.missing_rows
    n_beyond: int = 0  # usable, but beyond dataset.max_rows
    n_formula_cells: int = 0  # text that a spreadsheet would run; harmless here, escaped on export
    rare_classes: dict[str, int] = field(default_factory=dict)  # rows of each class left out


class Validator:
    """Collects the rows of a project from one or more source files.

    Parameters
    ----------
    spec : ProjectSpec
        Columns, types, ranges, missing tokens, labels and the duplicate policy.
    n_files : int
        That will be added. In a window of files (`dataset.window_files`) each gives at most its
        equal share of `dataset.max_rows`, a fixed sample: the newest must not push the others out.
    """

    def __init__(self, spec: ProjectSpec, n_files: int = 1) -> None:
        self._spec = spec
        limit = spec.dataset.max_rows if spec.dataset.window_files else None
        self._most_of_file = max(1, limit // n_files) if limit else None
        self._missing = frozenset(spec.dataset.missing)
        self._target = TargetReader(
            spec.project.task,
            target_contract(spec),
            missing=self._missing,
            classes=spec.target.labels,
        )
        self._aliases = _aliases(spec)
        self._filters = spec.dataset.filters
        self._seen: set[bytes] = set()
        self.result = Validation()

    def add_file(self, records: Iterable[RawRecord], filename: str) -> None:
        """Sort every record of a file into rows, rejected, duplicates and unlabelled.

        Raises
        ------
        DatasetSchemaError
            A column the spec requires is missing from the whole file.
        """
        start = len(self.result.rows)
        for record in self._with_columns_checked(map(self._renamed, records), filename):
            self.result.n_records += 1
            reasons = [record.fault] if record.fault else []
            row: Row = {}
            if not reasons:
                if self._is_filtered(record.cells):
                    self.result.n_filtered += 1
                    continue
                row, reasons = self._typed(record.cells)
            if reasons:
                self.result.rejected.add(Rejected(filename, record.line, reasons, record.cells))
            elif self._lacks_text(row):
                self.result.n_without_text += 1
            elif row[TARGET] is None:
                self.result.n_unlabelled += 1
            elif self._is_duplicate(row):
                self.result.n_duplicates += 1
            elif self._has_gap(row):
                self.result.n_gaps += 1
            else:
                self.result.rows.append(row)
                self._limit(start, slack=2)
        if self._most_of_file is not None:
            self._limit(start, slack=1)

    def finish(self) -> None:
        """Apply what needs all files: the number of rows, and classes too rare to learn."""
        if self._most_of_file is None:
            self._limit(0, slack=1)
        self._reject_rare_classes()

    def _reject_rare_classes(self) -> None:
        """Move the rows of classes below `target.min_rows_per_class` to the rejected."""
        if self._spec.project.task != "classification":
            return
        least, rows = self._spec.target.min_rows_per_class, self.result.rows
        counts = Counter(row[TARGET] for row in rows)
        rare = {label: count for label, count in sorted(counts.items()) if count < least}
        self.result.rare_classes = rare
        self.result.rows = [row for row in rows if row[TARGET] not in rare]
        for row in rows:
            if row[TARGET] in rare:
                reason = f"class '{row[TARGET]}' has fewer than {least} rows"
                self.result.rejected.add(Rejected("(all files)", 0, [reason], row))

    def _limit(self, start: int, *, slack: int) -> None:
        """Keep `max_rows`: the newest, or a fixed sample; of each file where it is a window."""
        limit, rows = self._spec.dataset.max_rows, self.result.rows
        if self._most_of_file is not None:
            if len(rows) - start > self._most_of_file * slack:
                kept = _sampled(rows[start:], self._most_of_file)
                self.result.n_beyond += len(rows) - start - len(kept)
                self.result.rows = rows[:start] + kept
            return
        if limit is None or len(rows) <= limit * slack:
            return
        if self._spec.dataset.time:
            kept = sorted(rows, key=lambda row: row[TIME])[-limit:]
        elif self._spec.dataset.in_time_order:
            kept = rows[-limit:]
        else:
            kept = _sampled(rows, limit)
        self.result.n_beyond += len(rows) - len(kept)
        self.result.rows = kept

    def _renamed(self, record: RawRecord) -> RawRecord:
        for alias, name in self._aliases:
            if alias in record.cells and name not in record.cells:
                record.cells[name] = record.cells.pop(alias)
        return record

    def _is_filtered(self, cells: RawCells) -> bool:
        for part in self._filters:
            value, reason = as_number(
                normalized(cells.get(part.column), "number", self._missing), part.min, part.max
            )
            if value is None or reason:
                return True
        return False

    def _has_gap(self, row: Row) -> bool:
        return self._spec.dataset.missing_rows == "drop" and any(
            row[name] is None
            for name, column in self._spec.dataset.columns.items()
            if column.type == "number"
        )

    def _with_columns_checked(
        self, records: Iterable[RawRecord], filename: str
    ) -> Iterator[RawRecord]:
        dataset = self._spec.dataset
        needed = {name for name, column in dataset.columns.items() if not column.optional}
        needed.add(self._spec.target.column)
        needed |= {column for column in (dataset.id, dataset.time) if column}
        absent, n_readable = needed, 0
        for record in records:
            if absent and not record.fault:
                absent, n_readable = absent - set(record.cells), n_readable + 1
                # A header speaks for all rows; JSON lines may leave out what is null.
                if not is_json_lines(filename):
                    _require_columns(absent, record, filename)
            yield record
        if n_readable:
            _require_columns(absent, None, filename)

    def _typed(self, cells: RawCells) -> tuple[Row, list[str]]:
        row: Row = {}
        reasons: list[str] = []
        for name, column in self._spec.dataset.columns.items():
            value, reason = self._value(cells.get(name), column)
            row[name] = value
            if reason:
                reasons.append(f"{name}: {reason}")
        row[TARGET], reason = self._target.read(cells.get(self._spec.target.column))
        if reason:
            reasons.append(f"{self._spec.target.column}: {reason}")
        dataset = self._spec.dataset
        if dataset.time:
            row[TIME], reason = _instant(cells.get(dataset.time), dataset.time_format)
            if reason:
                reasons.append(f"{dataset.time}: {reason}")
        if dataset.id:
            row_id = cells.get(dataset.id)
            row[ID] = "" if row_id is None else str(row_id)
            if not row[ID]:
                reasons.append(f"{dataset.id}: the row's id is missing")
        return row, reasons

    def _lacks_text(self, row: Row) -> bool:
        texts = [n for n, column in self._spec.dataset.columns.items() if column.type == "text"]
        return bool(texts) and not any(row[name] for name in texts)

    def _value(self, cell: Any, column: ColumnSpec) -> tuple[Any, str | None]:
        cell = normalized(cell, column.type, self._missing)
        if cell is None:
            return None, None
        if column.type == "number":
            return as_number(cell, column.min, column.max)
        if column.type == "time":
            return _instant(cell, None)
        if isinstance(cell, bool | dict | list):
            return None, f"must be text, got {kind_of(cell)}"
        text = str(cell)
        if len(text) > column.max_length:
            return None, f"more than {column.max_length} characters"
        if text.startswith(FORMULA_STARTS):
            self.result.n_formula_cells += 1
        return text, None

    def _is_duplicate(self, row: Row) -> bool:
        if self._spec.dataset.duplicates == "keep":
            return False
        key = bytes.fromhex(short_id(canonical_json(row)))
        known = key in self._seen
        self._seen.add(key)
        return known


def _require_columns(absent: set[str], record: RawRecord | None, filename: str) -> None:
    if absent:
        got = said_of_header(absent, record.cells) if record else " in every line"
        raise DatasetSchemaError(
            f"{filename}: columns {sorted(absent)} are missing; the spec requires them{got}",
            file=filename,
            missing=sorted(absent),
        )


def validation_report(
    result: Validation, *, accepted: bool, outcome: Sequence[str]
) -> ValidationReport:
    """Return the report of a validation: counts, reasons and the first rejected records."""
    classes = Counter(row[TARGET] for row in result.rows if isinstance(row[TARGET], str))
    return ValidationReport(
        accepted=accepted,
        outcome=tuple(outcome),
        n_records=result.n_records,
        n_rows=len(result.rows),
        n_rejected=len(result.rejected),
        n_duplicates=result.n_duplicates,
        n_unlabelled=result.n_unlabelled,
        n_without_text=result.n_without_text,
        n_filtered=result.n_filtered,
        n_gaps=result.n_gaps,
        n_beyond_max_rows=result.n_beyond,
        n_formula_cells=result.n_formula_cells,
        reasons=dict(result.rejected.reasons.most_common(_REASONS)),
        examples=tuple(
            RejectedExample(record.file, record.line, tuple(record.reasons))
            for record in result.rejected.examples
        ),
        classes=dict(sorted(classes.items())),
        rare_classes=result.rare_classes,
    )


def acceptance_faults(result: Validation, spec: ProjectSpec) -> list[str]:
    """Return why the rows as a whole cannot be trained on; empty means accepted."""
    faults = []
    n_rows, limit = len(result.rows), spec.dataset.max_rejected_fraction
    if result.n_records == 0:
        return ["the source holds no records"]
    rejected_fraction = len(result.rejected) / result.n_records
    if rejected_fraction > limit:
        faults.append(
            f"{rejected_fraction:.1%} of the records were rejected; "
            f"dataset.max_rejected_fraction allows {limit:.1%}"
        )
    if n_rows < spec.dataset.min_rows:
        faults.append(f"{n_rows} usable rows; dataset.min_rows requires {spec.dataset.min_rows}")
    distinct = {row[TARGET] for row in result.rows}
    if n_rows and len(distinct) < 2:
        faults.append("the target has one value only")
    return faults + (_class_faults(distinct, spec) if n_rows else [])


def _class_faults(classes: set[Any], spec: ProjectSpec) -> list[str]:
    """Return what the spec says of classes that the rows do not have."""
    faults, positive = [], spec.target.positive
    if positive is not None and positive not in classes:
        faults.append(
            f"target.positive: no row is of class '{positive}'; the classes of the rows are in "
            "the report (target.map and target.min_rows_per_class decide them)"
        )
    if spec.decision.rule in TWO_CLASS_RULES and len(classes) != 2:
        faults.append(
            f"decision.rule = '{spec.decision.rule}' needs two classes; the rows have "
            f"{len(classes)}"
        )
    return faults


def _sampled(rows: list[Row], limit: int) -> list[Row]:
    """Return the rows whose content hashes are smallest, in their order."""
    order = sorted(range(len(rows)), key=lambda i: sha256_hex(canonical_json(rows[i])))
    return [rows[i] for i in sorted(order[:limit])]


def target_contract(spec: ProjectSpec) -> TargetContract:
    """Return how the spec reads a label."""
    target = spec.target
    return TargetContract(dict(target.map), target.unlabelled, target.min, target.max)


def _aliases(spec: ProjectSpec) -> list[tuple[str, str]]:
    columns = [(a, name) for name, c in spec.dataset.columns.items() for a in c.aliases]
    return columns + [(alias, spec.target.column) for alias in spec.target.aliases]


def _instant(cell: Any, pattern: str | None) -> tuple[str | None, str | None]:
    text = str(cell or "").strip()
    try:
        at = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)
    except ValueError:
        expected = pattern or "ISO 8601"
        return None, f"must be a time ({expected})"
    try:
        return utc(at), None
    except OverflowError:
        return None, "must be a time of this era"
