"""Stages: features as files, and a training that starts from them."""

import json

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from cli import main, rows
from cli.features import sources_of_features
from cli.main import app
from cli.samples.files import sample_files
from infra.names import SPECS
from noria.spec.loader import load_spec, spec_hash
from tests.support.fakes import MemoryAliases, MemoryArtifacts


class _Target:
    def __init__(self, _="local"):
        self.artifacts, self.aliases = MemoryArtifacts(), MemoryAliases()


@pytest.fixture
def target(monkeypatch):
    """A stage in memory, to which files are uploaded."""
    target = _Target()

    def upload(_, project, sources):
        keys = []
        for name, path in sources:
            keys.append(f"inbox/{project}/h/{name}")
            target.artifacts.put(keys[-1], path.read_bytes())
        return keys

    for module in (rows, main):
        monkeypatch.setattr(module, "Target", lambda _: target)
        monkeypatch.setattr(module, "upload", upload)
    return target


def _rows(tmp_path, project):
    (name, body), *_ = sample_files(project)
    path = tmp_path / name
    path.write_bytes(body)
    return path


def _run(target, tmp_path, project="housing"):
    path, folder = _rows(tmp_path, project), tmp_path / "layers"
    asked = ["features", project, "--data", str(path), "-o", str(folder), "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    return json.loads(done.output), folder


def test_each_layer_is_a_file_and_no_champion_is_needed(target, tmp_path):
    """Accepted, refused, derived, features; rows and their order are the same in all."""
    shown, folder = _run(target, tmp_path)
    read = {p.stem: pyarrow.parquet.read_table(p) for p in folder.glob("*.parquet")}
    assert set(read) == {"01_accepted", "01_refused", "02_derived", "03_features"}
    n_rows = {layer["name"]: layer["n_rows"] for layer in shown["layers"]}
    assert n_rows["01_accepted"] == n_rows["02_derived"] == n_rows["03_features"]
    assert {"RM", "target"} <= set(read["01_accepted"].column_names)
    assert "log_lstat" in read["02_derived"].column_names
    assert read["03_features"]["target"] == read["01_accepted"]["target"]
    assert read["01_refused"].column_names == ["file", "line", "reasons"]


def test_terms_of_texts_are_entries_not_columns(target, tmp_path):
    """Tens of thousands of columns of zeros could not be opened."""
    _, folder = _run(target, tmp_path, "tickets")
    entries = pyarrow.parquet.read_table(folder / "03_features.parquet")
    assert entries.column_names == ["row", "feature", "value", "target"]
    assert any(name.startswith("words: ") for name in entries["feature"].to_pylist()[:50])


def test_a_training_takes_the_rows_of_the_features(target, tmp_path, monkeypatch):
    """By the run's id, which finds them whole; other rows beside it are refused."""
    shown, _ = _run(target, tmp_path)
    run, seen = shown["run_id"], []
    spec = spec_hash(load_spec(SPECS / "housing.toml"))
    assert sources_of_features(target, "housing", run, spec) == [
        "inbox/housing/h/sample_housing.csv"
    ]

    def training(_, project, keys, run_id, *__, **___):
        seen.append((project, keys, run_id))
        raise RuntimeError("far enough")

    monkeypatch.setattr(main, "run_training", training)
    CliRunner().invoke(app, ["train", "housing", "--from-features", run])
    assert seen == [("housing", ["inbox/housing/h/sample_housing.csv"], run)]
    both = CliRunner().invoke(app, ["train", "housing", "--from-features", run, "--run-id", "x"])
    assert (both.exit_code, "leave out --data and --run-id" in both.output) == (1, True)
    none = CliRunner().invoke(app, ["train", "housing", "--from-features", "nothing"])
    assert (none.exit_code, "has no features" in none.output) == (1, True)


def test_rows_that_cannot_be_trained_on_say_why(target, tmp_path):
    """And where the refused records lie."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"CRIM,MEDV\n1,2\n")
    done = CliRunner().invoke(app, ["features", "housing", "--data", str(path)])
    assert done.exit_code == 1
    assert "the rows cannot be trained on" in done.output
