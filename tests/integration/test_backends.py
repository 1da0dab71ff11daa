"""One spec line moves a project: the same machine trains on Lambda, SageMaker and Glue."""

import json

import pytest

from cli.samples import sample_files
from cli.training import new_run_id, upload, wait_for
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.layout import model_key
from noria.spec.model import TrainingSection
from tests.support.spark import missing, needs_spark

PROJECT = "housing"


BACKENDS = ("lambda", "sagemaker", *(() if missing() else ("glue",)))


@pytest.fixture(scope="module")
def ends(target):
    """The same rows, trained on each backend."""
    keys = upload(target, PROJECT, sample_files(PROJECT))
    return {backend: _trained(target, keys, backend) for backend in BACKENDS}


def _trained(target, keys, backend):
    """Run the deployed definition as it would be with this backend in the spec."""
    client = target.client("stepfunctions")
    arn = target.outputs["TrainingStateMachine"]
    found = client.describe_state_machine(stateMachineArn=arn)
    definition = json.loads(found["definition"])
    plan = TrainingSection(backend=backend)
    moved = json.dumps({"backend": plan.backend, "machine": plan.machine})
    definition["States"]["PrepareDataset"]["Assign"]["plan"] = (
        f"{{% $merge([$states.result.plan, {moved}]) %}}"
    )
    copy = client.create_state_machine(
        name=f"on-{backend}", definition=json.dumps(definition), roleArn=found["roleArn"]
    )
    run_id = new_run_id()
    message = {"project": PROJECT, "source_keys": keys, "run_id": run_id}
    started = client.start_execution(
        stateMachineArn=copy["stateMachineArn"], name=run_id, input=json.dumps(message)
    )
    return wait_for(client, started["executionArn"], lambda *_: None, 0.0)


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
