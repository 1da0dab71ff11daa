"""Rows that lie in many files, looked at by Spark: the domain's functions under `mapInArrow`.

Parquet is read by Spark, which splits it; a file of any other kind goes whole to one worker, which
reads it with the same code as everywhere in Noria. Arrow batches are what the domain takes, so
nothing is turned into pandas and back. Spark cuts the rows as it likes: what comes back is the
same to the last bit.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from io import BytesIO
from typing import Any, NamedTuple

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, functions, types

from noria.analysis.rows import RowsAnalyzer, RowsProfile, kept_columns, read_cells
from noria.batch.files import opened_rows, require_columns
from noria.columnar.columns import Cells
from noria.errors import DatasetSchemaError
from noria.features.fitting import RowPreparer
from noria.records.bundle import ColumnContract
from noria.records.prediction import Row
from noria.spec.catalog import PARQUET, ROW_SUFFIXES
from noria.spec.model import ProjectSpec

_BATCH_ROWS = 20_000  # given to a worker at once: some tens of MB of features
_PREPARED_ROWS = 1_000  # that are worth a task
_MERGED_HERE = 64  # profiles that come to the driver at most
_PROFILE = "profile binary, fault string"  # what workers give back
_PLAIN = (types.StringType, types.DoubleType, types.LongType, types.IntegerType)
_NESTED = (types.ArrayType, types.MapType, types.StructType)
_NO_RIGHT = (
    "the job may not read the address: it reads inbox/, batch-inbox/ and analyses/ of the data "
    "bucket; give its role the right for others"
)
_ADVICE = {  # by what Spark says
    "PATH_NOT_FOUND": "the address holds no files of rows; look at its spelling",
    "AccessDenied": _NO_RIGHT,
    "Status Code: 403": _NO_RIGHT,
    "exceeds the max length allowed": "above 2 GB a file must be Parquet; or cut it into several",
    "CANNOT_MERGE_SCHEMAS": "the Parquet files have one column in types that do not fit together",
    "CANNOT_READ_FILE_FOOTER": "a Parquet file cannot be read",
    "FAILED_READ_FILE": "a file cannot be read",
    "UNABLE_TO_INFER_SCHEMA": "the Parquet files cannot be read",
}

Files = Mapping[str, bytes]
Batches = Iterable[pa.RecordBatch]
Read = tuple[Cells, int, list[str]]  # cells by column, how many rows, why other records are none


class SparkRows(NamedTuple):
    """Rows at an address."""

    frame: DataFrame
    read: Callable[[Batches], Iterator[Read]]  # what a worker makes of the frame's batches

    def repartitioned(self, n: int) -> "SparkRows":
        """Return the rows dealt to so many partitions."""
        return self._replace(frame=self.frame.repartition(n))


def session(name: str) -> SparkSession:
    """Return the session of this job, made when there is none."""
    made = (
        SparkSession.builder.appName(name)
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", str(_BATCH_ROWS))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.caseSensitive", "true")
        .getOrCreate()
    )
    made.sparkContext.setLogLevel("WARN")
    return made


def rows_at(spark: SparkSession, uri: str, spec: ProjectSpec, files: Files) -> SparkRows:
    """Return the rows of a file, or of all files below a folder.

    Parameters
    ----------
    uri : str
        Parquet files, or CSV and JSON lines (also .gz), each of these below 2 GB.
    files : mapping
        What `RowsAnalyzer` takes.

    Raises
    ------
    DatasetSchemaError
        There are no files, both kinds of them, or no columns that the model needs.
    """
    with _readable():
        listed = _listed(spark, uri).select("path").collect()
    names = [row.path.rpartition("/")[2] for row in listed]
    kinds = {name.endswith(PARQUET) for name in names if name.endswith((*ROW_SUFFIXES, PARQUET))}
    if len(kinds) != 1:
        found = "Parquet and other files" if kinds else "no files of rows"
        raise DatasetSchemaError(
            f"the address holds {found}; it takes {PARQUET} files, or files of "
            f"{', '.join(ROW_SUFFIXES)}"
        )
    analyzer = RowsAnalyzer(files)
    if kinds == {True}:
        return SparkRows(_parquet(spark, uri, spec, analyzer), _plain_cells)
    suffixes = ",".join(suffix.lstrip(".") for suffix in ROW_SUFFIXES)
    frame = _listed(spark, uri, f"*.{{{suffixes}}}").select("path", "content")
    return SparkRows(frame, partial(_file_cells, spec, analyzer.predictor.columns))


def prepare_rows(spark: SparkSession, spec: ProjectSpec, rows: Sequence[Row]) -> list[Any]:
    """Return the rows as `RowPreparer` prepares them, in their order: texts are what takes time."""
    RowPreparer(spec)  # what it lacks is said here, not by a worker
    context = spark.sparkContext
    n_parts = max(1, min(len(rows) // _PREPARED_ROWS, context.defaultParallelism * 4))

    def prepared(part: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
        return map(RowPreparer(spec).prepare, part)

    found: list[Any] = context.parallelize(rows, n_parts).mapPartitions(prepared).collect()
    return found


def profile_rows(rows: SparkRows, files: Files) -> RowsProfile:
    """Return the profile of all rows: one a partition, merged by workers, then here.

    Raises
    ------
    DatasetSchemaError
        A file cannot be read.
    """
    frame, read = rows
    shared = frame.sparkSession.sparkContext.broadcast(dict(files))

    def profiles(batches: Batches) -> Iterator[pa.RecordBatch]:
        analyzer = _analyzer(shared)
        total, fault = analyzer.empty(), None
        try:
            for cells, n_rows, unreadable in read(batches):
                total.add(analyzer.profile(cells, n_rows, unreadable))
        except DatasetSchemaError as error:
            fault = error.message
        yield _profile_batch(total, fault)

    def merge(batches: Batches) -> Iterator[pa.RecordBatch]:
        analyzer = _analyzer(shared)
        total, faults = analyzer.empty(), []
        for batch in batches:
            for body, fault in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                total.add(analyzer.read(body))
                faults.append(fault)
        yield _profile_batch(total, _first(faults))

    found = frame.mapInArrow(profiles, _PROFILE)
    if frame.rdd.getNumPartitions() > _MERGED_HERE:  # else they fill the driver
        found = found.repartition(_MERGED_HERE).mapInArrow(merge, _PROFILE)
    analyzer = RowsAnalyzer(files)
    total = analyzer.empty()
    with _readable():
        collected = found.collect()
    if fault := _first([row.fault for row in collected]):
        raise DatasetSchemaError(fault)
    for row in collected:
        total.add(analyzer.read(bytes(row.profile)))
    return total


def write_features(rows: SparkRows, files: Files, kept: Sequence[str], uri: str) -> int:
    """Write the features of the rows that can be answered as Parquet; return how many.

    Parameters
    ----------
    kept : sequence of column names
        Written beside the features, as they are: ids, the target.
    uri : str
        A folder that must not hold anything yet.
    """
    frame, read = rows
    shared = frame.sparkSession.sparkContext.broadcast(dict(files))
    kept = list(kept)

    def features(batches: Batches) -> Iterator[pa.RecordBatch]:
        analyzer = _analyzer(shared)
        for cells, n_rows, _ in read(batches):
            yield analyzer.features(cells, n_rows, kept)

    analyzer = RowsAnalyzer(files)
    names = analyzer.feature_columns(kept)
    fields = [types.StructField(name, types.StringType()) for name in kept]
    if analyzer.has_sparse_features:
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


def _listed(spark: SparkSession, uri: str, glob: str = "*") -> DataFrame:
    """Return the files below an address: their contents are read only when they are needed."""
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    return reader.option("pathGlobFilter", glob).load(uri)


def _parquet(spark: SparkSession, uri: str, spec: ProjectSpec, analyzer: RowsAnalyzer) -> DataFrame:
    """Return the columns that are wanted and there, by their own names."""
    with _readable():
        frame = spark.read.parquet(
            uri, mergeSchema=True, recursiveFileLookup=True, pathGlobFilter=f"*{PARQUET}"
        )
    kinds = {field.name: field.dataType for field in frame.schema.fields}
    plain = {name for name, kind in kinds.items() if not isinstance(kind, _NESTED)}
    wanted = dict.fromkeys((*analyzer.predictor.columns, *kept_columns(spec)))
    chosen = {name: name for name in wanted if name in plain}
    for alias, name in spec.column_aliases.items():
        if alias in plain and name in wanted:
            chosen.setdefault(name, alias)
    require_columns("the rows", list(chosen), analyzer.predictor.columns)
    taken = []
    for name, there in chosen.items():
        column = functions.col(f"`{there}`")
        # Workers write plain numbers as text faster than Spark does.
        is_plain = isinstance(kinds[there], _PLAIN)
        taken.append((column if is_plain else column.cast("string")).alias(name))
    return frame.select(*taken)


def _plain_cells(batches: Batches) -> Iterator[Read]:
    for batch in batches:
        cells = zip(batch.schema.names, batch.columns, strict=True)
        yield {name: column.cast(pa.string()) for name, column in cells}, batch.num_rows, []


def _file_cells(
    spec: ProjectSpec, columns: Mapping[str, ColumnContract], batches: Batches
) -> Iterator[Read]:
    """Yield what is in whole files."""
    kept = kept_columns(spec)
    for batch in batches:
        for place in range(batch.num_rows):
            name = batch.column(0)[place].as_py().rpartition("/")[2]
            content = batch.column(1)[place].as_buffer()
            with opened_rows(partial(BytesIO, content), name, spec) as file:
                yield from read_cells(file, columns, kept)


def _profile_batch(total: RowsProfile, fault: str | None) -> pa.RecordBatch:
    faults = pa.array([fault], pa.string())
    return pa.RecordBatch.from_pydict({"profile": [total.to_bytes()], "fault": faults})


def _first(faults: Iterable[str | None]) -> str | None:
    """Return the alphabetically first: workers finish in any order."""
    return min((fault for fault in faults if fault), default=None)


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what Spark says of files that it cannot read into a DatasetSchemaError with advice."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        text = str(error)
        marker = next((marker for marker in _ADVICE if marker in text), None)
        if marker is None:
            raise
        said = next(line for line in text.splitlines() if marker in line).strip()
        raise DatasetSchemaError(f"{_ADVICE[marker]} ({said[:300]})") from error


def _analyzer(shared: Any) -> RowsAnalyzer:
    """Return the worker process's analyzer; a model is loaded once."""
    return _loaded(tuple(sorted(shared.value.items())))


@lru_cache(maxsize=1)
def _loaded(files: tuple[tuple[str, bytes], ...]) -> RowsAnalyzer:
    return RowsAnalyzer(dict(files))
