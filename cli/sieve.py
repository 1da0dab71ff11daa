"""What stays of a file that a record is taken out of."""

from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet


class Sieve:
    """Takes what stays of a file, and counts.

    Parameters
    ----------
    out : binary stream or None
        None: only count.
    """

    def __init__(self, out: IO[bytes] | None, mentions: Callable[[bytes], bool]) -> None:
        self._out, self._mentions = out, mentions
        self.n_removed, self.is_mentioned = 0, False

    def note(self, piece: bytes) -> None:
        """See whether a piece that stays mentions the record."""
        self.is_mentioned = self.is_mentioned or self._mentions(piece)

    def keep(self, piece: bytes) -> None:
        """Write a piece that stays."""
        self.note(piece)
        if self._out is not None:
            self._out.write(piece)

    def keep_numbers(self, piece: bytes) -> None:
        """Write a piece that stays and holds no text."""
        if self._out is not None:
            self._out.write(piece)

    def note_texts(self, table: pa.Table) -> None:
        """See whether a text of a table that stays mentions the record."""
        for cell in texts_of(table):
            self.note(cell.encode())

    def writer(self, schema: pa.Schema) -> Any:
        """Return what writes a Parquet file that stays; None where it is only counted."""
        out = self._out
        return out and pyarrow.parquet.ParquetWriter(out, schema, compression="zstd")


Without = Callable[[BinaryIO, Sieve], None]  # reads a file and hands on what stays of it


def texts_of(table: pa.Table) -> Iterator[str]:
    """Yield the texts of a table, those inside nested cells too."""
    for column in table.columns:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if is_text(kind) or pa.types.is_nested(kind):
            yield from strings_in(column.to_pylist())


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column's values are texts."""
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def strings_in(value: Any) -> Iterator[str]:
    """Yield all texts and numbers in JSON data, names of fields too."""
    if isinstance(value, str | int | float):
        yield str(value)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from (name, *strings_in(part))
    elif isinstance(value, list):
        for part in value:
            yield from strings_in(part)
