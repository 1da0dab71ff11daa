"""Parquet files that unfold, repeat or garble: a reason, and no memory."""

import io

import pyarrow as pa
import pyarrow.parquet
import pytest

from noria.batch.parquet import parquet_as_csv
from noria.data.parsing import ByteBudget
from noria.errors import DatasetSchemaError


def _file(table: pa.Table, **settings) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, **settings)
    return out.getvalue()


def _read(body: bytes, max_bytes: int = 100_000_000) -> bytes:
    with parquet_as_csv(io.BytesIO(body), "a.parquet", 1_000_000, ByteBudget(max_bytes)) as rows:
        return rows.read()


def test_texts_numbers_gaps_and_nested_columns_become_csv():
    """Nested ones are left out, gaps are empty cells."""
    table = pa.table({"t": ["a,b", None, "ñ"], "n": [1.5, 2.0, None], "l": [[1], [2], []]})
    assert _read(_file(table)).decode() == '"t","n"\n"a,b",1.5\n,2\n"ñ",\n'


def test_a_file_that_unfolds_is_refused_before_it_is_decoded():
    """5 kB of a repeated text would be 2.4 GB; what memory it takes is told by Arrow's pool."""
    text = pa.array(["x" * 240_000]).dictionary_encode()
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), text.dictionary)
    body = _file(pa.table({"t": column}), compression="zstd")
    assert len(body) < 20_000
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)  # its peak is of this test alone
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(DatasetSchemaError, match="bytes uncompressed"):
            _read(body)
    finally:
        pa.set_memory_pool(usual)
    assert 0 < pool.max_memory() < 120_000_000


def test_a_column_chunk_that_is_too_large_is_refused_by_its_own_size():
    """One cell of a hundred million characters takes a few kilobytes in the file."""
    body = _file(pa.table({"t": ["x" * 30_000_000]}), compression="zstd", use_dictionary=False)
    with pytest.raises(DatasetSchemaError, match="bytes uncompressed"):
        _read(body, max_bytes=1_000_000)


def test_repeated_and_unreadable_names_are_refused_with_the_reason():
    """Neither is a fault of the program."""
    twice = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(DatasetSchemaError, match=r"repeated columns: numbers \[1, 2\]"):
        _read(_file(twice))
    body = _file(pa.table({"qqqq": [1]}), store_schema=False).replace(b"qqqq", b"\xff\xfe\xff\xfe")
    with pytest.raises(DatasetSchemaError, match=r"a\.parquet"):
        _read(body)
