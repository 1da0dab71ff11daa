"""The domain's functions under Spark: the same to the last bit as on one machine."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

from noria.batch.analysis import RowsAnalyzer
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


def _rows(spark, model, path, **how):
    from noria_aws.spark_rows import read_rows as read

    columns = RowsAnalyzer(model.files).predictor.columns
    return read(spark, str(path), columns, ["id"], **how)


def test_every_number_of_partitions_gives_one_profile(spark, model, tmp_path):
    """1 to 64, shuffled between: to the last bit what one machine finds in one piece."""
    from noria_aws.spark_rows import profile_rows

    table = model.table(3000)
    pa.parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=500)
    analyzer = RowsAnalyzer(model.files)
    cells = {name: table[name].combine_chunks() for name in model.names}
    expected = json.loads(analyzer.profile(cells, table.num_rows).to_bytes())
    assert expected["n"] > 0
    frame = _rows(spark, model, tmp_path / "rows.parquet")
    for n_partitions in (1, 2, 7, 64):
        found = profile_rows(frame.repartition(n_partitions), model.files)
        assert json.loads(found.to_bytes()) == expected, n_partitions


def test_numbers_may_be_numbers(spark, model, tmp_path):
    """Parquet knows types: what is written of them as text reads back as the same number."""
    from noria_aws.spark_rows import profile_rows

    names = [n for n, c in model.spec.dataset.columns.items() if c.type == "number"]
    if not names:
        pytest.skip("a project of texts")
    table = model.table(400).slice(1, 96)
    typed = table
    for position, name in enumerate(names):
        values = table[name].cast(pa.float64())
        kind = (pa.float64(), pa.float32(), pa.int64(), pa.decimal128(20, 6))[position % 4]
        values = pc.round(values) if kind == pa.int64() else values
        typed = typed.set_column(
            typed.column_names.index(name), name, values.cast(kind, safe=False)
        )
    pa.parquet.write_table(typed, tmp_path / "rows.parquet")
    analyzer = RowsAnalyzer(model.files)
    cells = {name: typed[name].combine_chunks().cast(pa.string()) for name in model.names}
    expected = json.loads(analyzer.profile(cells, 96).to_bytes())
    found = profile_rows(_rows(spark, model, tmp_path / "rows.parquet"), model.files)
    assert json.loads(found.to_bytes()) == expected


def test_more_partitions_than_the_driver_takes_are_merged_by_workers(spark, model, tmp_path):
    """The same profile again."""
    from noria_aws.spark_rows import profile_rows

    pa.parquet.write_table(model.table(300), tmp_path / "rows.parquet")
    frame = _rows(spark, model, tmp_path / "rows.parquet")
    one, many = (profile_rows(frame.repartition(n), model.files) for n in (1, 65))
    assert json.loads(many.to_bytes()) == json.loads(one.to_bytes())


@pytest.mark.parametrize("kind", ["csv", "jsonl", "csv.gz", "parquet"])
def test_every_kind_of_file_gives_the_same_profile(spark, model, tmp_path, kind):
    """Several files in a folder; texts with line breaks and quotes included."""
    from noria_aws.spark_rows import profile_rows

    table = model.table(400)
    folder = tmp_path / "rows"
    folder.mkdir()
    for part in range(2):
        _write(table.slice(part * 200, 200), folder / f"{part}.{kind}")
    found = profile_rows(_rows(spark, model, folder), model.files)
    analyzer = RowsAnalyzer(model.files)
    cells = {name: table[name].combine_chunks() for name in model.names}
    assert json.loads(found.to_bytes()) == json.loads(analyzer.profile(cells, 400).to_bytes())


def _write(table, path):
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        table.to_pandas().to_csv(path, index=False)


def test_features_are_those_of_one_machine(spark, model, tmp_path):
    """Beside the ids; as many rows as have an answer."""
    from noria_aws.spark_rows import write_features

    table = model.table(500)
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    frame = _rows(spark, model, tmp_path / "rows.parquet").repartition(3)
    n_rows = write_features(frame, model.files, ["id"], str(tmp_path / "features"))
    cells = {name: table[name].combine_chunks() for name in (*model.names, "id")}
    expected = RowsAnalyzer(model.files).features(cells, 500, ["id"]).to_pylist()
    found = pa.parquet.read_table(tmp_path / "features").to_pylist()
    assert n_rows == len(expected) < 500
    assert sorted(found, key=lambda row: int(row["id"])) == expected


def test_a_bad_record_takes_no_other_with_it(spark, model, tmp_path):
    """Counted, with its reason; the rest is profiled."""
    from noria_aws.spark_rows import profile_rows

    good = model.table(20).slice(1, 10).to_pylist()
    lines = [json.dumps(row) for row in good]
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines[:5], '{"broken', *lines[5:]]) + "\n")
    found = profile_rows(_rows(spark, model, tmp_path / "rows.jsonl"), model.files)
    assert (found.window.n_rows, found.n_refused) == (10, 1)
    assert found.refused == {"(record)": (1, "cannot be read")}
    _write(model.table(20).slice(1, 10), tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("one,two\n")
    found = profile_rows(_rows(spark, model, tmp_path / "rows.csv"), model.files)
    assert (found.window.n_rows, found.n_refused) == (10, 1)


def test_what_holds_no_rows_is_refused_with_a_reason(spark, model, tmp_path):
    """No files, two kinds of them, none of the columns."""
    with pytest.raises(DatasetSchemaError, match="no files of rows"):
        _rows(spark, model, tmp_path / "nothing")
    (tmp_path / "a.csv").write_text("colour\nred\n")
    with pytest.raises(DatasetSchemaError, match=r"none of the model's columns|are missing"):
        _rows(spark, model, tmp_path / "a.csv")
    (tmp_path / "b.jsonl").write_text("{}\n")
    with pytest.raises(DatasetSchemaError, match="several kinds"):
        _rows(spark, model, tmp_path)


def test_an_alias_stands_for_its_column(spark, model, tmp_path):
    """In files that call it otherwise."""
    from noria_aws.spark_rows import profile_rows

    table, name = model.table(100), model.names[0]
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    other = table.rename_columns(["other" if n == name else n for n in table.column_names])
    found = []
    for path, how in (("rows", {}), ("other", {"aliases": {"other": name}})):
        kinds = ("parquet",) if path == "rows" else ("parquet", "jsonl")
        for kind in kinds:
            _write(other if path == "other" else table, tmp_path / f"{path}.{kind}")
            frame = _rows(spark, model, tmp_path / f"{path}.{kind}", **how)
            found.append(json.loads(profile_rows(frame, model.files).to_bytes()))
    assert found[1:] == [found[0]] * 2


def test_rows_are_prepared_as_here_and_in_order(spark, model):
    """What the feature views are fitted on."""
    from noria_aws.spark_rows import prepare_rows

    rows = model.rows * 20
    preparer = RowPreparer(model.spec)
    assert prepare_rows(spark, model.spec, rows) == [preparer.prepare(row) for row in rows]
