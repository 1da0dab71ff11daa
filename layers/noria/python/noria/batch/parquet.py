"""Parquet in and out, a row group at a time; between, parts are CSV as of any other file."""

import csv
from collections.abc import Iterable, Iterator
from io import BytesIO, StringIO
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from noria.data.parsing import ByteBudget, checked_header
from noria.errors import DatasetSchemaError

_ROWS = 1_024  # decoded at once


def parquet_as_csv(stream: BinaryIO, filename: str, max_rows: int, budget: ByteBudget) -> BinaryIO:
    """Return a Parquet file's rows as CSV with a header; both lie on disk, not in memory.

    DatasetSchemaError when it cannot be read or holds too much: a small file may unfold to any
    size, so texts stay numbers of a dictionary until it is known how long they are. A missing
    value is an empty cell.
    """
    with TemporaryFile() as source:
        copyfileobj(stream, source, 1 << 20)
        out: Any = TemporaryFile()  # noqa: SIM115 - the caller reads it
        try:
            found = pyarrow.parquet.ParquetFile(source)
            names = _columns(found, filename)
            groups = (found.metadata.row_group(n) for n in range(found.num_row_groups))
            budget.require(sum(group.total_byte_size for group in groups), filename)
            found = pyarrow.parquet.ParquetFile(source, read_dictionary=names)
            if found.metadata.num_rows > max_rows:
                raise DatasetSchemaError(
                    f"{filename}: more than {max_rows:,} rows (batch.max_rows); cut it into several",
                    file=filename,
                )
            is_first = True
            for batch in found.iter_batches(_ROWS, columns=names):
                budget.require(sum(map(_text_bytes, batch.columns)), filename)
                before = out.tell()
                _write(pa.Table.from_batches([batch]), out, with_header=is_first)
                budget.take(out.tell() - before, filename)
                is_first = False
        except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError) as error:
            out.close()
            raise DatasetSchemaError(
                f"{filename}: not a readable Parquet file: {str(error)[:200]}", file=filename
            ) from error
    out.seek(0)
    return out  # type: ignore[no-any-return]


def _columns(found: pyarrow.parquet.ParquetFile, filename: str) -> list[str]:
    """Return the columns a model may take: no nested ones."""
    fields = [f for f in found.schema_arrow if not pa.types.is_nested(f.type)]
    checked_header([field.name for field in fields], filename, ",")
    return [field.name for field in fields]


def _text_bytes(column: pa.Array) -> int:
    """Return how many bytes a column of texts takes, before it is decoded; of others a byte each."""
    if pa.types.is_fixed_size_binary(column.type):
        return int(column.type.byte_width) * len(column)
    if not pa.types.is_dictionary(column.type):
        return len(column)
    values = column.dictionary
    if not (pa.types.is_string(values.type) or pa.types.is_binary(values.type)):
        return len(column)
    lengths = pc.take(pc.binary_length(values), column.indices)
    return int(pc.sum(lengths).as_py() or 0) + len(column)


def _write(table: pa.Table, out: Any, *, with_header: bool) -> None:
    """Write the columns as CSV."""
    plain = [pc.cast(c, c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in table]
    kept, quoting = pa.table(dict(zip(table.column_names, plain, strict=True))), "needed"
    if kept.num_columns == 1:  # an empty line would be no row
        texts = pc.fill_null(pc.cast(kept.column(0), pa.string()), "")
        kept, quoting = pa.table({kept.column_names[0]: texts}), "all_valid"
    options = pyarrow.csv.WriteOptions(include_header=with_header, quoting_style=quoting)
    pyarrow.csv.write_csv(kept, out, options)


def as_csv_cells(column: Any) -> list[str | None]:
    """Return a column's cells as a batch reads them; None where there is none."""
    out: Any = BytesIO()
    _write(pa.table({"cell": column, "": pa.nulls(len(column))}), out, with_header=True)
    rows = csv.reader(StringIO(out.getvalue().decode(), newline=""))
    next(rows)
    known = pc.is_valid(column).to_pylist()
    return [row[0] if is_valid else None for row, is_valid in zip(rows, known, strict=True)]


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
