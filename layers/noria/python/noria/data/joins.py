"""Join tables to rows by key, in memory that does not grow with either.

Tables go into a SQLite file on disk, the rows of the main file stream past it.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from functools import lru_cache
from itertools import batched
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from noria.data.parsing import RawCells, RawRecord
from noria.errors import DatasetSchemaError
from noria.spec.model import JoinSection

_BATCH = 5_000  # rows an insert
_CACHE_KIB = 64_000  # pages of the tables kept in memory
_REMEMBERED = 4_096  # latest look-ups a table; rows of one key come together


class Tables:
    """The tables of a run's joins; a context manager, because they are files.

    Parameters
    ----------
    joins : sequence of JoinSection
    """

    def __init__(self, joins: Sequence[JoinSection]) -> None:
        self._joins = joins
        self._folder = tempfile.TemporaryDirectory(prefix="noria-joins-")
        self._database = sqlite3.connect(Path(self._folder.name) / "tables.sqlite")
        # Lost with the process, and meant to be.
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        for number in range(len(joins)):
            self._database.execute(
                f"CREATE TABLE t{number} (key TEXT PRIMARY KEY, cells TEXT) WITHOUT ROWID"
            )
        self._find = [lru_cache(_REMEMBERED)(self._finder(number)) for number in range(len(joins))]
        self._is_filled = [False] * len(joins)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()
        self._folder.cleanup()

    def is_table(self, filename: str) -> bool:
        """Return whether a file holds a table to join rather than rows."""
        return any(fnmatch(filename, join.files) for join in self._joins)

    def add(self, filename: str, records: Iterable[RawRecord]) -> int:
        """Store a table's records; of equal keys the last one counts.

        Returns
        -------
        int
            How many records could not be used: unreadable, or without a key.

        Raises
        ------
        DatasetSchemaError
            No record has the key, or a column that the join takes.
        """
        number = next(n for n, join in enumerate(self._joins) if fnmatch(filename, join.files))
        join, n_unusable, seen = self._joins[number], 0, set[str]()

        def pairs() -> Iterator[tuple[str, str]]:
            nonlocal n_unusable
            for record in records:
                key = record.cells.get(join.key)
                seen.update(record.cells)
                if record.fault or key in (None, ""):
                    n_unusable += 1
                    continue
                cells = {name: record.cells.get(source) for name, source in join.columns.items()}
                yield str(key), json.dumps(cells)

        insert = f"INSERT OR REPLACE INTO t{number} VALUES (?, ?)"  # noqa: S608 - a number
        for batch in batched(pairs(), _BATCH, strict=False):
            self._database.executemany(insert, batch)
        self._database.commit()
        if missing := sorted({join.key, *join.columns.values()} - seen):
            raise DatasetSchemaError(
                f"{filename}: columns {missing} are missing; there are: {sorted(seen)}"
            )
        self._is_filled[number] = True
        return n_unusable

    def joined(self, records: Iterable[RawRecord]) -> Iterator[RawRecord]:
        """Yield rows with the tables' columns; gaps where a key has no match.

        Columns of a table that the run does not have are left as the row has them.
        """
        active = [
            (join, find)
            for join, find, is_filled in zip(self._joins, self._find, self._is_filled, strict=True)
            if is_filled
        ]
        for record in records:
            if not record.fault:
                for join, find in active:
                    key = record.cells.get(join.key)
                    record.cells.update(find("" if key is None else str(key)))
            yield record

    def look_up(self, number: int, key: str | None) -> RawCells:
        """Return the columns that a join, by its number, gives a key; gaps without a match."""
        found: RawCells = self._find[number](key or "")
        return found

    def _finder(self, number: int) -> Any:
        query = f"SELECT cells FROM t{number} WHERE key = ?"  # noqa: S608 - a number
        nothing = dict.fromkeys(self._joins[number].columns)

        def find(key: str) -> dict[str, Any]:
            row = self._database.execute(query, (key,)).fetchone()
            return json.loads(row[0]) if row else nothing

        return find
