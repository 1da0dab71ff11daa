"""The domain's functions under Spark: the same to the last bit as on one machine."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

from noria.analysis.rows import RowsAnalyzer, RowsProfile, kept_columns
from noria.errors import DatasetSchemaError
from noria.features.fitting import RowPreparer
from noria.spec.loader import load_project
from tests.conftest import PROJECTS
from tests.support.analyzed import AnalyzedModel
from tests.support.spark import needs_spark, spark_session

pytestmark = needs_spark


@pytest.fixture(scope="module")
def spark():
    """One session: it takes seconds to start."""
    with spark_session() as session:
        yield session


@pytest.fixture(scope="module", params=["customers", "tickets"])
def model(request):
    """Numbers and categories; texts."""
    chosen = {"customers": "lightgbm", "tickets": "linear_svm_everything"}[request.param]
    spec = load_project(request.param, PROJECTS)
    return AnalyzedModel(spec, chosen, 600 if request.param == "customers" else 200)


def _rows(spark, model, path):
    from noria_aws.jobs.spark_rows import rows_at

    return rows_at(spark, str(path), model.spec, model.files)


def _expected(model, table):
    """Return what one machine finds in one piece."""
    cells = {name: table[name].combine_chunks().cast(pa.string()) for name in model.names}
    return RowsAnalyzer(model.files).profile(cells, table.num_rows).to_bytes()


def test_every_number_of_partitions_gives_one_profile(spark, model, tmp_path):
    """1 to 16, shuffled between: to the last bit what one machine finds in one piece."""
    from noria_aws.jobs.spark_rows import profile_rows

    table = model.table(3000)
    pa.parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=500)
    rows, expected = _rows(spark, model, tmp_path), _expected(model, table)
    assert json.loads(expected)["n"] > 0
    for n_partitions in (1, 2, 7, 16):
        found = profile_rows(rows.repartitioned(n_partitions), model.files)
        assert found.to_bytes() == expected, n_partitions


def test_numbers_may_be_numbers(spark, model, tmp_path):
    """Parquet knows types: what is written of them as text reads back as the same number."""
    from noria_aws.jobs.spark_rows import profile_rows

    names = [n for n, c in model.spec.dataset.columns.items() if c.type == "number"]
    table = typed = model.table(400).slice(1, 96)
    for position, name in enumerate(names):
        values = table[name].cast(pa.float64())
        kind = (pa.float64(), pa.float32(), pa.int64(), pa.decimal128(20, 6))[position % 4]
        values = pc.round(values) if kind == pa.int64() else values
        typed = typed.set_column(
            typed.column_names.index(name), name, values.cast(kind, safe=False)
        )
    pa.parquet.write_table(typed, tmp_path / "rows.parquet")
    found = profile_rows(_rows(spark, model, tmp_path), model.files)
    assert found.to_bytes() == _expected(model, typed)


def test_more_partitions_than_the_driver_takes_are_merged_by_workers(
    spark, model, tmp_path, monkeypatch
):
    """The same profile again."""
    from noria_aws.jobs import spark_rows

    monkeypatch.setattr(spark_rows, "_MERGED_HERE", 4)
    table = model.table(300)
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    found = spark_rows.profile_rows(_rows(spark, model, tmp_path).repartitioned(9), model.files)
    assert found.to_bytes() == _expected(model, table)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "csv.gz", "parquet"])
def test_every_kind_of_file_gives_the_same_profile(spark, model, tmp_path, kind):
    """In folders inside folders, as uploads lie; beside what is no file of rows."""
    from noria_aws.jobs.spark_rows import profile_rows

    table = model.table(400)
    for part in range(2):
        folder = tmp_path / "inbox" / f"hash={part}"
        folder.mkdir(parents=True)
        _write(table.slice(part * 200, 200), folder / f"rows.{kind}")
    (tmp_path / "inbox" / "notes.txt").write_text("not rows\n")
    (tmp_path / "inbox" / "_started.csv").write_text("hidden\n")
    found = profile_rows(_rows(spark, model, tmp_path / "inbox"), model.files)
    assert found.to_bytes() == _expected(model, table)


def _write(table, path):
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        table.to_pandas().to_csv(path, index=False)


def test_features_are_those_of_one_machine(spark, model, tmp_path):
    """Beside the ids and the target; as many rows as have an answer."""
    from noria_aws.jobs.spark_rows import write_features

    table, kept = model.table(500), kept_columns(model.spec)
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    rows = _rows(spark, model, tmp_path / "rows.parquet").repartitioned(3)
    n_rows = write_features(rows, model.files, kept, str(tmp_path / "features"))
    cells = {name: table[name].combine_chunks() for name in (*model.names, "id")}
    expected = RowsAnalyzer(model.files).features(cells, 500, kept).to_pylist()
    found = pa.parquet.read_table(tmp_path / "features").to_pylist()
    assert n_rows == len(expected) < 500
    assert sorted(found, key=lambda row: int(row["id"])) == expected


def test_a_bad_record_takes_no_other_with_it(spark, model, tmp_path):
    """Of JSON and of CSV: refused with the reason that a batch would give; the rest is profiled."""
    from noria_aws.jobs.spark_rows import profile_rows

    good = model.table(200).slice(1, 90)
    lines = [json.dumps(row) for row in good.to_pylist()]
    strange = [*lines[:5], '{"broken', '{"colour": "red"}', *lines[5:]]
    (tmp_path / "rows.jsonl").write_text("\n".join(strange) + "\n")
    found = profile_rows(_rows(spark, model, tmp_path / "rows.jsonl"), model.files)
    assert (found.window.n_rows, found.n_refused) == (90, 2)
    _write(good, tmp_path / "rows.csv")
    body = (tmp_path / "rows.csv").read_text()
    header, rest = body.split("\n", 1)
    (tmp_path / "rows.csv").write_text(f'{header}\none,two\n"never closed,x\n{rest}')
    found = profile_rows(_rows(spark, model, tmp_path / "rows.csv"), model.files)
    assert (found.window.n_rows, found.n_refused) == (90, 2)
    window = RowsProfile(found.window).to_bytes()
    assert window == _expected(model, good)


def test_what_holds_no_rows_is_refused_with_a_reason(spark, model, tmp_path):
    """No files, two kinds of them, none of the columns, no Parquet."""
    from noria_aws.jobs.spark_rows import profile_rows

    with pytest.raises(DatasetSchemaError, match="no files of rows"):
        _rows(spark, model, tmp_path / "nothing")
    (tmp_path / "a").mkdir()
    with pytest.raises(DatasetSchemaError, match="no files of rows"):
        _rows(spark, model, tmp_path / "a")
    (tmp_path / "a" / "a.csv").write_text("colour\nred\n")
    with pytest.raises(DatasetSchemaError, match=r"a\.csv: .*(none of the model|are missing)"):
        profile_rows(_rows(spark, model, tmp_path / "a"), model.files)
    (tmp_path / "a" / "b.parquet").write_bytes(b"no Parquet")
    with pytest.raises(DatasetSchemaError, match="Parquet and other files"):
        _rows(spark, model, tmp_path / "a")
    with pytest.raises(DatasetSchemaError, match="cannot be read"):
        profile_rows(_rows(spark, model, tmp_path / "a" / "b.parquet"), model.files)
    pa.parquet.write_table(pa.table({"colour": ["red"]}), tmp_path / "c.parquet")
    with pytest.raises(DatasetSchemaError, match=r"none of the model|are missing"):
        _rows(spark, model, tmp_path / "c.parquet")


def test_names_are_taken_as_they_are(spark, model, tmp_path):
    """An index without a name, dots, blanks, names that differ by case only, aliases; in files
    with other columns in another order."""
    from noria_aws.jobs.spark_rows import profile_rows

    table, name = model.table(192).slice(1, 190), model.names[0]
    columns = dict(model.spec.dataset.columns)
    columns[name] = columns[name].model_copy(update={"aliases": (name.upper(), "other")})
    dataset = model.spec.dataset.model_copy(update={"columns": columns})
    renamed = SimpleNamespace(
        spec=model.spec.model_copy(update={"dataset": dataset}), files=model.files
    )
    first, second = table.slice(0, 100), table.slice(100)
    other = [name.upper() if n == name else n for n in table.column_names]
    for kind in ("parquet", "csv"):
        folder = tmp_path / kind
        folder.mkdir()
        extra = first.append_column("a.b", pa.array(["x"] * 100)).append_column(
            "ID", pa.array(["y"] * 100)
        )
        _write(extra, folder / f"1.{kind}")
        _write(second.rename_columns(other).select(other[::-1]), folder / f"2.{kind}")
        if kind == "csv":
            text = (folder / "1.csv").read_text()
            (folder / "1.csv").write_text("," + text.replace("\n", "\n,", 100).rstrip(","))
    expected = {"csv": _expected(model, table)}
    # Of Parquet files the merged columns count: the column's own name is there, so it is taken.
    own = (
        pa.concat_tables([first, second.set_column(0, name, pa.nulls(len(second), pa.string()))])
        if table.column_names[0] == name
        else None
    )
    assert own is not None
    expected["parquet"] = _expected(model, own)
    for kind, profile in expected.items():
        found = profile_rows(_rows(spark, renamed, tmp_path / kind), model.files)
        assert found.to_bytes() == profile, kind


def test_rows_are_prepared_as_here_and_in_order(spark, model):
    """What the feature views are fitted on."""
    from noria_aws.jobs.spark_rows import prepare_rows

    rows = model.rows * 20
    preparer = RowPreparer(model.spec)
    assert prepare_rows(spark, model.spec, rows) == [preparer.prepare(row) for row in rows]
