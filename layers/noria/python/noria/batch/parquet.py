"""Parquet in and out, a row group at a time; between, parts are CSV as of any other file."""

from collections.abc import Iterable, Iterator
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from noria.errors import DatasetSchemaError

_ROWS = 65_536


def parquet_as_csv(stream: BinaryIO, filename: str) -> BinaryIO:
    """Return a Parquet file's rows as CSV with a header; both lie on disk, not in memory.

    DatasetSchemaError when it cannot be read. A missing value is an empty cell.
    """
    with TemporaryFile() as source:
        copyfileobj(stream, source, 1 << 20)
        out: Any = TemporaryFile()  # noqa: SIM115 - the caller reads it
        try:
            found = pyarrow.parquet.ParquetFile(source)
            is_first = True
            for batch in found.iter_batches(_ROWS):
                options = pyarrow.csv.WriteOptions(include_header=is_first, quoting_style="needed")
                pyarrow.csv.write_csv(_plain(pa.Table.from_batches([batch])), out, options)
                is_first = False
        except (pa.ArrowException, OSError) as error:
            out.close()
            raise DatasetSchemaError(
                f"{filename}: not a readable Parquet file: {str(error)[:200]}", file=filename
            ) from error
    out.seek(0)
    return out  # type: ignore[no-any-return]


def _plain(table: pa.Table) -> pa.Table:
    """Return the table without nested columns, which no model takes."""
    kept = [f.name for f in table.schema if not pa.types.is_nested(f.type)]
    return table.select(kept)


def as_parquet(parts: Iterable[bytes]) -> BinaryIO:
    """Return the tables of Arrow streams as one Parquet file, on disk."""
    out: Any = TemporaryFile()  # noqa: SIM115 - the caller reads it
    writer: Any = None
    for table in _tables(parts):
        writer = writer or pyarrow.parquet.ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table)
    if writer:
        writer.close()
    out.seek(0)
    return out  # type: ignore[no-any-return]


def _tables(parts: Iterable[bytes]) -> Iterator[pa.Table]:
    for body in parts:
        with pa.ipc.open_stream(body) as reader:
            yield reader.read_all()
