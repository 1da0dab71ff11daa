"""Columns of tables joined to the rows of a file, as training joins them."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from itertools import islice
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from noria.batch.parts import Part, decoded, physical_lines
from noria.batch.reading import Records, as_cell, read_part
from noria.data.joins import Tables
from noria.data.parsing import ByteBudget, json_records, read_records
from noria.errors import DatasetSchemaError
from noria.ports import SearchableStore
from noria.records.batch import FileLayout
from noria.records.bundle import ColumnContract
from noria.spec.model import JoinSection, ProjectSpec
from noria.storage.keys import inbox_prefix

_LOOKED_AT = 1000  # first records of JSON lines, which tell the file's columns
LINE = "line"


class BatchJoins:
    """The joins that a file needs, with their tables on disk; a context manager.

    A join is needed where the model reads columns of its table that the file does not have. It
    replaces those that the file has, as in training.

    Parameters
    ----------
    columns : mapping
        Of the serving bundle.
    named : sequence of str
        Keys of tables that whoever scores the file has chosen; of other tables the newest file
        in the inbox is taken: a table is a snapshot, one file.

    Attributes
    ----------
    tables : tuple of str
        Keys of the tables that are joined.
    without : tuple of str
        Patterns of tables that there are none of: their columns are gaps.
    unmatched : mapping of pattern to int
        Rows whose key the table does not have.
    """

    def __init__(
        self,
        spec: ProjectSpec,
        store: SearchableStore,
        columns: Mapping[str, ColumnContract],
        named: Sequence[str],
    ) -> None:
        self._spec, self._store, self._columns, self._named = spec, store, columns, named
        self._tables: Tables | None = None
        self._joins: list[JoinSection] = []
        self.tables: tuple[str, ...] = ()
        self.without: tuple[str, ...] = ()
        self.unmatched: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tables is not None:
            self._tables.__exit__(kind, error, traceback)

    @property
    def names(self) -> list[str]:
        """The columns that are joined."""
        return [name for join in self._joins for name in join.columns]

    def prepare(self, file: str, names: Iterable[str]) -> None:
        """Read the tables that a file of these columns needs.

        Raises
        ------
        DatasetSchemaError
            A table is missing whose columns are not optional, or cannot be read.
        """
        known = set(names)
        needed = [
            join
            for join in self._spec.dataset.joins
            if set(join.columns) & set(self._columns) - known
        ]
        found = {join.files: self._file_of(join) for join in needed if self._key(join) in known}
        if unused := sorted({*self._named} - {*found.values()}):
            names = [PurePosixPath(key).name for key in unused]
            raise DatasetSchemaError(
                f"{file}: the tables {names} are not joined; their names must match "
                f"{[join.files for join in needed]}, and the file must lack their columns",
                file=file,
            )
        self._joins = [join for join in needed if found.get(join.files)]
        missing = [join for join in needed if join not in self._joins]
        for join in missing:
            self._require_optional(file, join, has_key=self._key(join) in known)
        self.without = tuple(join.files for join in missing)
        self.tables = tuple(str(found[join.files]) for join in self._joins)
        if self._joins:
            self._tables = Tables(self._joins)
            self._read(self._tables)

    def joined(self, part: Part, layout: FileLayout) -> pa.Table:
        """Return the joined columns of a part's readable records, with their lines."""
        keys = [self._key(join) for join in self._joins]
        records = read_part(part, layout, [*self._columns, *keys], ())
        columns: dict[str, pa.Array] = {LINE: pa.array(records.lines)}
        if self._tables is None:  # no join is needed
            return pa.table(columns)
        for number, join in enumerate(self._joins):
            wanted = records.cells[self._key(join)].to_pylist()
            cells = [self._tables.look_up(number, key) for key in wanted]
            n = sum(all(cell is None for cell in row.values()) for row in cells)
            self.unmatched[join.files] = self.unmatched.get(join.files, 0) + n
            for name in join.columns:
                columns[name] = pa.array([as_cell(row[name]) for row in cells], pa.string())
        return pa.table(columns)

    def _key(self, join: JoinSection) -> str:
        """Return what the key's column is called once aliases are replaced."""
        return self._spec.column_aliases.get(join.key, join.key)

    def _file_of(self, join: JoinSection) -> str | None:
        """Return the key of a join's table: the named one, else the newest in the inbox."""
        mine = [key for key in self._named if self._is_of(join, key)]
        if mine:
            return mine[-1]
        found = [
            item
            for item in self._store.under(inbox_prefix(self._spec.name))
            if self._is_of(join, item.key)
        ]
        return max(found, key=lambda item: (item.modified_at, item.key)).key if found else None

    def _is_of(self, join: JoinSection, key: str) -> bool:
        """Return whether a file is a join's table: the first pattern that it matches tells."""
        name = PurePosixPath(key).name
        first = (other for other in self._spec.dataset.joins if fnmatch(name, other.files))
        return next(first, None) == join

    def _require_optional(self, file: str, join: JoinSection, *, has_key: bool) -> None:
        columns = [self._columns[name] for name in join.columns if name in self._columns]
        if all(column.optional for column in columns):
            return
        why = (
            f"no table '{join.files}' is in the inbox"
            if has_key
            else f"the file has no column '{self._key(join)}'"
        )
        raise DatasetSchemaError(
            f"{file}: {why}, so {sorted(join.columns)} cannot be joined; give the table (noria "
            "batch --table FILE), or the file with these columns",
            file=file,
        )

    def _read(self, tables: Tables) -> None:
        budget = ByteBudget(self._spec.dataset.max_bytes)
        for key in self.tables:
            name = PurePosixPath(key).name
            try:
                with self._store.open(key) as stream:
                    records = read_records(
                        stream, name, budget, delimiter=self._spec.dataset.delimiter
                    )
                    tables.add(name, records)
            except KeyError as error:
                raise DatasetSchemaError(f"{key}: there is no such table", file=name) from error


def columns_of(layout: FileLayout, first: Part) -> set[str]:
    """Return the columns of a file: its header, or those of its first records of JSON."""
    if not layout.is_json:
        return set(layout.header)
    body = first.body.removeprefix(b"\xef\xbb\xbf")
    lines = (decoded(line) for line in physical_lines(body))
    seen = {name for record in islice(json_records(lines), _LOOKED_AT) for name in record.cells}
    return seen | {name for alias, name in layout.aliases.items() if alias in seen}


def with_joined(records: Records, joined: pa.Table) -> Records:
    """Return the records of a part with the columns of tables, by line; gaps without a match."""
    lines = joined[LINE].to_numpy()
    if not len(lines):
        return records
    places = np.minimum(np.searchsorted(lines, records.lines), len(lines) - 1)
    found = pa.array(places, mask=lines[places] != records.lines)
    cells = {
        name: joined[name].combine_chunks().take(found)
        for name in joined.column_names
        if name != LINE
    }
    return records._replace(cells={**records.cells, **cells})
