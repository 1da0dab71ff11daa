"""The source files of a run: tables to join, and files of rows, each read as a stream."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from noria.data.joins import Tables
from noria.data.parsing import ByteBudget, RawRecord, read_records
from noria.data.schema_inference import ColumnInference
from noria.data.validation import Validation, Validator, acceptance_faults
from noria.errors import DatasetSchemaError
from noria.ports import OpenedFiles
from noria.spec.checks import column_faults
from noria.spec.columns import with_columns
from noria.spec.model import ProjectSpec
from noria.spec.section import ColumnType


@dataclass(frozen=True)
class InferredColumns:
    """The columns that the rows have told, beside those of the spec."""

    types: Mapping[str, ColumnType] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)  # columns, with the reason


@dataclass(frozen=True)
class SourceRows:
    """The rows of source files, and whether they can be trained on."""

    spec: ProjectSpec  # with the columns that the rows have told
    seen: InferredColumns
    validation: Validation
    faults: tuple[str, ...]  # why they cannot; empty where they can


class SourceFiles:
    """The source files of one run; tables to join are read when the context is entered.

    Parameters
    ----------
    keys : sequence of str
        Of the data bucket. Files that match a join are tables, all others hold rows.
    """

    def __init__(self, spec: ProjectSpec, files: OpenedFiles, keys: Sequence[str]) -> None:
        self._spec, self._files = spec, files
        self._tables = Tables(spec.dataset.joins)
        self._table_fault: str | None = None
        self.unusable: dict[str, int] = {}  # records of each table that could not be used
        rows = [key for key in keys if not self._tables.is_table(_name(key))]
        self._table_keys = [key for key in keys if key not in rows]
        if spec.dataset.in_time_order or spec.dataset.window_files:
            rows.sort(key=_natural)
        window = spec.dataset.window_files
        self._row_keys = rows[-window:] if window else rows
        self.keys = [*self._table_keys, *self._row_keys]

    def __enter__(self) -> Self:
        self._tables.__enter__()
        self._table_fault = self._read(self._table_keys, self._fill)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tables.__exit__(kind, error, trace)

    def rows(self) -> SourceRows:
        """Read all files and say what became of their records."""
        seen = self.infer_columns()
        spec = with_columns(self._spec, seen.types) if seen.types else self._spec
        validation, faults = self.validate(spec)
        faults = faults or list(column_faults(spec, are_final=True))
        return SourceRows(
            spec, seen, validation, tuple(faults or acceptance_faults(validation, spec))
        )

    def infer_columns(self) -> InferredColumns:
        """Return what the rows say of columns that the spec does not list.

        Nothing where the spec does not ask for it, or a file cannot be read: `validate` then
        says why.
        """
        if not self._spec.dataset.infer or self._table_fault:
            return InferredColumns()
        seen = ColumnInference(self._spec)
        fault = self._read(
            self._row_keys, lambda records, _: seen.watch(self._tables.joined(records))
        )
        return InferredColumns() if fault else InferredColumns(seen.types(), seen.left_out())

    def validate(self, spec: ProjectSpec) -> tuple[Validation, list[str]]:
        """Return what became of the records, and why they cannot be read at all."""
        validator = Validator(spec, n_files=max(1, len(self._row_keys)))
        fault = self._table_fault or self._read(
            self._row_keys,
            lambda records, name: validator.add_file(self._tables.joined(records), name),
        )
        validator.finish()
        return validator.result, [fault] if fault else []

    def _fill(self, records: Iterator[RawRecord], name: str) -> None:
        self.unusable[name] = self._tables.add(name, records)

    def _read(
        self, keys: Sequence[str], take: Callable[[Iterator[RawRecord], str], None]
    ) -> str | None:
        """Pass the records of each file on; return why one of them cannot be read."""
        budget = ByteBudget(self._spec.dataset.max_bytes)
        for key in keys:
            try:
                with self._files.open(key) as stream:
                    delimiter = self._spec.dataset.delimiter
                    take(read_records(stream, _name(key), budget, delimiter=delimiter), _name(key))
            except KeyError:
                return f"{key}: there is no such file in the data bucket"
            except DatasetSchemaError as error:
                return error.message
        return None


def _natural(key: str) -> list[str | int]:
    """Return what sorts file names as people count them: p2 before p10."""
    parts = re.split(r"(\d+)", _name(key))
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def _name(key: str) -> str:
    return PurePosixPath(key).name
