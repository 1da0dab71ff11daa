"""One spec line moves a project: the same machine trains on Lambda, SageMaker and Glue."""

import json
from io import BytesIO

import pyarrow.parquet as pq
import pytest

from cli.analysis import Analysis
from cli.samples.files import sample_files
from cli.training import new_run_id, upload
from infra.local.glue_jobs import missing_spark
from infra.names import SPECS
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.spec.loader import load_project
from noria.spec.model import TrainingSection
from noria.storage.keys import model_key
from tests.support.spark import needs_spark
from tests.support.wheel import planned, train_by

PROJECT = "housing"


CANDIDATES = ["xgboost_important"]  # of the spec's eight: with a selection
BACKENDS = ("lambda", "sagemaker", *(() if missing_spark() else ("glue",)))


@pytest.fixture(scope="module")
def ends(target):
    """The same rows, trained on each backend."""
    keys = upload(target, PROJECT, sample_files(PROJECT))
    return {backend: _trained(target, keys, backend) for backend in BACKENDS}


def _trained(target, keys, backend):
    """Run the deployed definition as it would be with this backend in the spec."""
    plan = TrainingSection(backend=backend)
    machine = planned(
        target, backend, backend=plan.backend, machine=plan.machine, candidates=CANDIDATES
    )
    return train_by(target, machine, PROJECT, keys, new_run_id())


def _lineage(target, end):
    key = model_key(PROJECT, end.output["model_version"], "manifest.json")
    return json.loads(target.artifacts.get(key))["lineage"]


def test_every_backend_gives_the_same_model_of_the_same_rows(target, ends):
    """Equal dataset version, equal bundle to the byte; each names its backend."""
    assert all(end.status == "SUCCEEDED" for end in ends.values()), ends
    lineages = {name: _lineage(target, end) for name, end in ends.items()}
    for name, lineage in lineages.items():
        assert lineage["backend"] == name
        assert {"noria", "python", "scikit-learn"} <= set(lineage["code"])
    assert len({lineage["dataset_version"] for lineage in lineages.values()}) == 1
    for name in (BUNDLE_FILE, ARRAYS_FILE):
        bodies = {
            target.artifacts.get(model_key(PROJECT, end.output["model_version"], name))
            for end in ends.values()
        }
        assert len(bodies) == 1, name


@needs_spark
def test_glue_was_among_them(ends):
    """Where Spark is missing, the two others are compared, and this says so."""
    assert "glue" in ends


def test_each_job_leaves_its_archive_in_the_run(target, ends):
    """What an endpoint or a registry of SageMaker would take."""
    run_id = ends["sagemaker"].output["run_id"]
    found = [o.key for o in target.artifacts.under(f"runs/{PROJECT}/{run_id}/jobs/")]
    assert found
    assert all(key.endswith("/output/model.tar.gz") for key in found)


@needs_spark
def test_a_spark_job_finds_in_rows_what_this_machine_finds(target, ends, tmp_path):
    """By the deployed machine, to the last bit; the features too."""
    assert ends["lambda"].output["outcome"] == "ChallengerPromoted"
    ((name, body),) = sample_files(PROJECT)
    rows = tmp_path / name
    rows.write_bytes(body + b"broken\n")
    champion = target.aliases.read(PROJECT).champion
    work = Analysis(target, load_project(PROJECT, SPECS), champion, features=True)
    here = work.here([str(rows)], tmp_path)
    far = work.on_spark(work.uploaded([str(rows)]), workers=2)
    assert far.code["backend"] == "glue"
    for key in ("model_version", "verdict", "n_rows", "n_refused", "findings", "columns"):
        assert getattr(far, key) == getattr(here, key), key
    assert far.n_refused == 1
    bucket = f"s3://{target.outputs['DataBucket']}/"
    tables = [
        pq.read_table(BytesIO(target.artifacts.get(found.key)))
        for found in target.artifacts.under(far.features.at.removeprefix(bucket))
        if found.key.endswith(".parquet")
    ]
    expected = pq.read_table(here.features.at).to_pylist()
    assert sum(table.num_rows for table in tables) == far.features.n_rows == len(expected)
    found = [row for table in tables for row in table.to_pylist()]
    assert sorted(map(str, found)) == sorted(map(str, expected))


@needs_spark
def test_an_address_without_rows_is_answered_with_the_reason(target, ends):
    """And no stack trace."""
    champion = target.aliases.read(PROJECT).champion
    work = Analysis(target, load_project(PROJECT, SPECS), champion, features=False)
    address = f"s3://{target.outputs['DataBucket']}/analyses/{PROJECT}/nothing/"
    with pytest.raises(ValueError, match=f"{address}: the address holds no files of rows"):
        work.on_spark(address, workers=2)
