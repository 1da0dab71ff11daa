"""A file of rows, whatever its kind, in parts of whole records."""

import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from noria.batch.parquet import parquet_as_csv
from noria.batch.parts import Part, read_header, split_records
from noria.data.parsing import ByteBudget, is_json_lines, read_lines, said_of_header
from noria.errors import DatasetSchemaError
from noria.records.batch import FileLayout
from noria.records.bundle import ColumnContract
from noria.spec.catalog import BATCH_SUFFIXES, PARQUET
from noria.spec.model import ProjectSpec

_ADVICE = "batch.max_bytes; cut it into several"
_MAX_RATIO, _RATIO_FROM_BYTES = 200, 50_000_000  # of an archive; small ones may be repetitive


@contextmanager
def opened_rows(
    opener: Callable[[], BinaryIO], name: str, spec: ProjectSpec
) -> Iterator["RowsFile"]:
    """Yield the rows of a file, its header read.

    Parameters
    ----------
    opener : function
        Opens the file's bytes.
    name : str
        Its suffix says what it is.

    Raises
    ------
    DatasetSchemaError
        It is of an unknown kind, or cannot be read.
    """
    if not name.endswith(BATCH_SUFFIXES):
        raise DatasetSchemaError(
            f"{name}: unknown format; allowed suffixes: {', '.join(BATCH_SUFFIXES)}", file=name
        )
    budget, delimiter = ByteBudget(spec.batch.max_bytes, _ADVICE), spec.dataset.delimiter
    stream = opener()
    if name.endswith(PARQUET):
        unfolded = ByteBudget(spec.batch.max_bytes, _ADVICE)
        stream = parquet_as_csv(stream, name, spec.batch.max_rows, unfolded)
        delimiter = ","
    with stream:
        source = stream
        if name.endswith(".gz"):
            counted = _Counted(stream)
            source, budget = counted.unpacked(), _ArchiveBudget(spec.batch.max_bytes, counted)
        yield RowsFile(source, name, spec, delimiter, budget)


class RowsFile:
    """What `opened_rows` yields."""

    def __init__(
        self, source: BinaryIO, name: str, spec: ProjectSpec, delimiter: str, budget: ByteBudget
    ) -> None:
        self.name, self.budget = name, budget
        self._source, self._batch = source, spec.batch
        aliases, is_json = spec.column_aliases, is_json_lines(name)
        header: tuple[str, ...] = ()
        self._first_line = 1
        if not is_json:
            header, n_lines = read_header(read_lines(source, name, budget), name, delimiter)
            header, self._first_line = _named(header, aliases), n_lines + 1
        self.layout = FileLayout(is_json, header, delimiter, aliases if is_json else {})

    def require_columns(
        self, columns: Mapping[str, ColumnContract], joined: Sequence[str] = ()
    ) -> None:
        """Refuse a table that the model cannot take; of JSON each row has its own columns.

        `joined` are columns that other tables give.
        """
        if not self.layout.is_json:
            require_columns(self.name, (*self.layout.header, *joined), columns)

    def parts(self, limit: int | None = None) -> Iterator[Part]:
        """Yield the records in parts, the first `limit` of them; too many are refused."""
        most, n_rows = self._batch.max_rows, 0
        for part in split_records(
            self._source,
            self.layout,
            self._first_line,
            self._batch.rows_per_part,
            self.budget,
            self.name,
            limit,
        ):
            n_rows += part.n_records
            if n_rows > most:
                raise DatasetSchemaError(
                    f"{self.name}: more than {most:,} rows (batch.max_rows); cut it into several",
                    file=self.name,
                )
            yield part


def require_columns(
    name: str, header: Sequence[str], columns: Mapping[str, ColumnContract]
) -> None:
    """Refuse a table that lacks a column the model needs, or all that it takes.

    Parameters
    ----------
    columns : mapping
        Of the serving bundle.
    """
    required = {column for column, about in columns.items() if about.required}
    if absent := sorted(required - set(header)):
        raise DatasetSchemaError(
            f"{name}: columns {absent} are missing; the model needs them"
            f"{said_of_header(absent, header)}",
            file=name,
        )
    if not set(header) & set(columns):
        raise DatasetSchemaError(
            f"{name}: none of the model's columns is there: {sorted(columns)[:20]}"
            f"{said_of_header(columns, header)}",
            file=name,
        )


def _named(header: tuple[str, ...], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Return the header under the columns' own names; the first alias there is stands for one."""
    names = list(header)
    for alias, name in aliases.items():
        if alias in names and name not in names:
            names[names.index(alias)] = name
    return tuple(names)


class _ArchiveBudget(ByteBudget):
    """A budget that also looks at how much an archive grows."""

    def __init__(self, max_bytes: int, source: "_Counted") -> None:
        super().__init__(max_bytes, _ADVICE)
        self._source = source

    def take(self, n_bytes: int, filename: str) -> None:
        """Count bytes; DatasetSchemaError for too many, or for an archive that explodes."""
        super().take(n_bytes, filename)
        if self.taken > max(_RATIO_FROM_BYTES, _MAX_RATIO * self._source.n_bytes):
            raise DatasetSchemaError(
                f"{filename}: the archive grows more than {_MAX_RATIO} times; "
                "send the file uncompressed if that is right",
                file=filename,
            )


class _Counted:
    """A stream that knows how much was read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.n_bytes = stream, 0

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        body = self._stream.read(size)
        self.n_bytes += len(body)
        return body

    def unpacked(self) -> BinaryIO:
        """Return the content of the archive."""
        packed: Any = self
        unpacked: Any = gzip.GzipFile(fileobj=packed)
        return cast(BinaryIO, unpacked)
