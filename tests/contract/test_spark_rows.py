"""The domain's functions under Spark: the same to the last bit as on one machine."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.samples import sample_files
from noria.batch.analysis import ANALYZED_WITH, RowsAnalyzer
from noria.data.versions import TRAIN, read_rows
from noria.errors import DatasetSchemaError
from noria.features.fitting import RowPreparer
from noria.layout import candidate_key
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from tests.support.fakes import MemoryArtifacts, SteppingClock
from tests.support.spark import needs_spark, spark_session

pytestmark = needs_spark


class _Model:
    """A project with one trained candidate, and its rows as text cells."""

    def __init__(self, spec, candidate, n_rows):
        self.spec = spec.model_copy(
            update={"candidates": tuple(c for c in spec.candidates if c.name == candidate)}
        )
        self.store, keys = MemoryArtifacts(), []
        for file, body in sample_files(spec.name, n_rows=n_rows):
            keys.append(f"inbox/{file}")
            self.store.put(keys[-1], body)
        here = {"spec": self.spec, "artifacts": self.store}
        request = PrepareDatasetRequest(spec.name, "r", tuple(keys))
        self.version = prepare_dataset(request, **here).dataset_version
        fit_feature_views(FitFeatureViewsRequest(spec.name, "r", self.version), **here)
        train_candidate(
            TrainCandidateRequest(spec.name, "r", self.version, candidate),
            clock=SteppingClock(), code={}, **here,
        )  # fmt: skip
        self.files = {
            name: self.store.get(candidate_key(spec.name, "r", candidate, name))
            for name in ANALYZED_WITH
        }
        self.rows = read_rows(self.store, spec.name, self.version, TRAIN)
        self.names = list(spec.dataset.columns)

    def table(self, n_rows):
        """Return so many rows as a table of text, some that nobody can answer."""
        rng = np.random.default_rng(8)
        rows = [self.rows[i] for i in rng.integers(0, len(self.rows), n_rows)]
        kinds = self.spec.dataset.columns
        bad = {name: "abc" if kinds[name].type == "number" else None for name in self.names}
        rows[::97] = [bad for _ in rows[::97]]
        cells = {
            name: pa.array([None if r[name] is None else str(r[name]) for r in rows], pa.string())
            for name in self.names
        }
        return pa.table({**cells, "id": [str(i) for i in range(n_rows)]})


@pytest.fixture(scope="module")
def spark():
    """One session: it takes seconds to start."""
    with spark_session() as session:
        yield session


@pytest.fixture(scope="module", params=["customers", "tickets"])
def model(request):
    """Numbers and categories; texts."""
    from noria.spec.loader import load_project
    from tests.conftest import PROJECTS

    chosen = {"customers": "lightgbm", "tickets": "linear_svm_everything"}[request.param]
    spec = load_project(request.param, PROJECTS)
    return _Model(spec, chosen, 600 if request.param == "customers" else 200)


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
