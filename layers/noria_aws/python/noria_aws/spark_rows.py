"""Rows that lie in many files, looked at by Spark: the domain's functions under `mapInArrow`.

Arrow batches are what the domain reads, so nothing is turned into pandas and back; a worker loads
the model once. Spark cuts the rows as it likes: what comes back is the same to the last bit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, functions, types

from noria.batch.analysis import SPARSE_COLUMNS, RowsAnalyzer, RowsProfile
from noria.batch.files import require_columns
from noria.catalog import PARQUET, ROW_SUFFIXES
from noria.errors import DatasetSchemaError
from noria.features.fitting import RowPreparer
from noria.spec.model import ProjectSpec

_BATCH_ROWS = 20_000  # given to a worker at once: some tens of MB of features
_UNREADABLE = "_unreadable"  # column of what is no record
_PREPARED_ROWS = 1_000  # that are worth a task
_PROFILE = "profile binary"  # what workers give back
_MERGED_HERE = 64  # profiles that come to the driver at most
_PLAIN = (types.StringType, types.DoubleType, types.LongType, types.IntegerType)
_NESTED = (types.ArrayType, types.MapType, types.StructType)

Files = Mapping[str, bytes]


def session(name: str) -> SparkSession:
    """Return the session of this job, made when there is none."""
    made = (
        SparkSession.builder.appName(name)
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", str(_BATCH_ROWS))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
        # Else Spark does not count the cells of a record whose columns are not all wanted.
        .config("spark.sql.csv.parser.columnPruning.enabled", "false")
        .getOrCreate()
    )
    made.sparkContext.setLogLevel("WARN")
    return made


def read_rows(
    spark: SparkSession,
    uri: str,
    columns: Mapping[str, Mapping[str, Any]],
    kept: Sequence[str] = (),
    *,
    delimiter: str = ",",
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> DataFrame:
    """Return rows with the model's columns and the kept ones, those that are there.

    Parameters
    ----------
    uri : str
        A file, or a folder of files of one kind: CSV with a header, JSON lines (both also .gz),
        Parquet.
    columns : mapping
        Of the serving bundle.
    kept : sequence of column names
        Ids and the like.
    aliases : mapping of other name to column
        The other name stands for a column that is not there itself.

    Raises
    ------
    DatasetSchemaError
        No files, of several kinds, or without a column that the model needs.
    """
    kind = _kind(spark, uri)
    wanted = list(dict.fromkeys((*columns, *kept)))
    if kind == "json":
        frame = _read_json(spark, uri, wanted, aliases)
    else:
        frame = spark.read.parquet(uri) if kind == "parquet" else _read_csv(spark, uri, delimiter)
    plain = {f.name for f in frame.schema.fields if not isinstance(f.dataType, _NESTED)}
    chosen = {name: name for name in wanted if name in plain}
    for alias, name in aliases.items():
        if alias in plain:
            chosen.setdefault(name, alias)
    require_columns("the rows", [name for name in wanted if name in chosen], columns)
    if _UNREADABLE in plain:
        chosen[_UNREADABLE] = _UNREADABLE
    kinds = {field.name: field.dataType for field in frame.schema.fields}
    taken = []
    for name, there in chosen.items():
        column = functions.col(f"`{there}`")
        # Workers write plain numbers as text faster than Spark does.
        is_plain = isinstance(kinds[there], _PLAIN)
        taken.append((column if is_plain else column.cast("string")).alias(name))
    return frame.select(*taken)


def _read_json(
    spark: SparkSession, uri: str, wanted: Sequence[str], aliases: Mapping[str, str]
) -> DataFrame:
    """Return records with all columns: one that is nowhere is null everywhere."""
    schema = _texts((*wanted, *aliases, _UNREADABLE))
    frame = spark.read.json(uri, schema=schema, columnNameOfCorruptRecord=_UNREADABLE)
    for alias, name in aliases.items():
        own, other = functions.col(f"`{name}`"), functions.col(f"`{alias}`")
        frame = frame.withColumn(name, functions.coalesce(own, other))
    return frame


def _read_csv(spark: SparkSession, uri: str, delimiter: str) -> DataFrame:
    """Return records as RFC 4180 has them: a quote is doubled, a cell may hold line breaks."""
    how: dict[str, Any] = {
        "header": True, "sep": delimiter, "quote": '"', "escape": '"', "multiLine": True,
    }  # fmt: skip
    header = spark.read.csv(uri, **how).columns
    frame = spark.read.csv(
        uri,
        schema=_texts((*header, _UNREADABLE)),
        enforceSchema=False,  # a file with another header is a fault, not another order
        columnNameOfCorruptRecord=_UNREADABLE,
        **how,
    )
    return frame.na.fill("", list(header))


def _texts(names: Sequence[str]) -> types.StructType:
    return types.StructType([types.StructField(name, types.StringType()) for name in names])


def prepare_rows(
    spark: SparkSession, spec: ProjectSpec, rows: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """Return the rows as `RowPreparer` prepares them, in their order: texts are what takes time."""
    context = spark.sparkContext
    n_parts = max(1, min(len(rows) // _PREPARED_ROWS, context.defaultParallelism * 4))

    def prepared(part: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
        return map(RowPreparer(spec).prepare, part)

    found: list[Any] = context.parallelize(rows, n_parts).mapPartitions(prepared).collect()
    return found


def profile_rows(frame: DataFrame, files: Files) -> RowsProfile:
    """Return the profile of all rows: one profile a partition, merged here.

    Parameters
    ----------
    frame : DataFrame
        Of `read_rows`.
    files : mapping
        What `RowsAnalyzer` takes.
    """
    shared = frame.sparkSession.sparkContext.broadcast(dict(files))

    def profiles(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        analyzer = _analyzer(shared)
        total = analyzer.empty()
        for batch in batches:
            cells, n_unreadable = _cells(batch)
            unreadable = ["cannot be read"] * n_unreadable
            total.add(analyzer.profile(cells, batch.num_rows - n_unreadable, unreadable))
        yield pa.RecordBatch.from_pydict({"profile": [total.to_bytes()]})

    def merge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        analyzer = _analyzer(shared)
        total = analyzer.empty()
        for batch in batches:
            for body in batch.column(0).to_pylist():
                total.add(analyzer.read(body))
        yield pa.RecordBatch.from_pydict({"profile": [total.to_bytes()]})

    merged = RowsAnalyzer(files)
    total = merged.empty()
    found = frame.mapInArrow(profiles, _PROFILE)
    if frame.rdd.getNumPartitions() > _MERGED_HERE:  # else they fill the driver
        found = found.repartition(_MERGED_HERE).mapInArrow(merge, _PROFILE)
    for row in found.collect():
        total.add(merged.read(bytes(row.profile)))
    return total


def write_features(frame: DataFrame, files: Files, kept: Sequence[str], uri: str) -> int:
    """Write the features of the rows that can be answered as Parquet; return how many.

    Parameters
    ----------
    kept : sequence of column names
        Written beside the features, as they are: ids, the target.
    uri : str
        A folder that must not hold anything yet.
    """
    shared = frame.sparkSession.sparkContext.broadcast(dict(files))
    kept = list(kept)

    def features(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        analyzer = _analyzer(shared)
        for batch in batches:
            cells, n_unreadable = _cells(batch)
            yield analyzer.features(cells, batch.num_rows - n_unreadable, kept)

    names = RowsAnalyzer(files).feature_columns()
    fields = [types.StructField(name, types.StringType()) for name in kept]
    if names == SPARSE_COLUMNS:
        kinds: list[Any] = [
            types.ArrayType(types.IntegerType()),
            types.ArrayType(types.DoubleType()),
        ]
    else:
        kinds = [types.DoubleType()] * len(names)
    fields += [types.StructField(n, kind) for n, kind in zip(names, kinds, strict=True)]
    frame.mapInArrow(features, types.StructType(fields)).write.parquet(uri, mode="errorifexists")
    n_rows: int = frame.sparkSession.read.parquet(uri).count()
    return n_rows


def _kind(spark: SparkSession, uri: str) -> str:
    """Return what the files below an address are."""
    jvm: Any = spark.sparkContext._jvm
    path = jvm.org.apache.hadoop.fs.Path(uri)
    system = path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())
    names: list[str] = []
    if system.exists(path):
        found = system.listFiles(path, True)
        while found.hasNext() and len(names) < 1000:
            names.append(found.next().getPath().getName())
    kinds = {
        suffix.removesuffix(".gz").lstrip(".")
        for name in names
        for suffix in (*ROW_SUFFIXES, PARQUET)
        if name.endswith(suffix)
    }
    kinds = {"json" if kind == "jsonl" else kind for kind in kinds}
    if len(kinds) != 1:
        what = f"files of several kinds ({sorted(kinds)})" if kinds else "no files of rows"
        raise DatasetSchemaError(
            f"the address holds {what}; it takes one kind of {', '.join((*ROW_SUFFIXES, PARQUET))}"
        )
    return kinds.pop()


def _cells(batch: pa.RecordBatch) -> tuple[dict[str, pa.Array], int]:
    """Return a batch's readable records by column, and how many others there are."""
    names = [name for name in batch.schema.names if name != _UNREADABLE]
    n_unreadable = 0
    if _UNREADABLE in batch.schema.names:
        is_readable = batch.column(batch.schema.get_field_index(_UNREADABLE)).is_null()
        n_unreadable = batch.num_rows - is_readable.true_count
        batch = batch.filter(is_readable)
    columns = {name: batch.column(batch.schema.get_field_index(name)) for name in names}
    return {name: column.cast(pa.string()) for name, column in columns.items()}, n_unreadable


def _analyzer(shared: Any) -> RowsAnalyzer:
    """Return the worker process's analyzer; a model is loaded once."""
    return _loaded(tuple(sorted(shared.value.items())))


@lru_cache(maxsize=1)
def _loaded(files: tuple[tuple[str, bytes], ...]) -> RowsAnalyzer:
    return RowsAnalyzer(dict(files))
