"""The training job under a tree like the container's, and the request that starts it."""

import json
import tarfile
from io import BytesIO
from types import SimpleNamespace

import botocore.session
import pytest
from botocore.validate import ParamValidator

from infra.bundling import source_archive
from infra.names import ROOT
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.errors import TrainingFailedError
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import candidate_key, dataset_key, run_key
from noria_aws.jobs import sagemaker
from tests.support.fakes import MemoryArtifacts, SteppingClock
from tests.support.pipeline import prepared_tickets

CANDIDATE = "logistic"


def _tree(root, store, version, *, encode=str, **more):
    """Write channels and hyperparameters as the container finds them."""
    parameters = {"project": "quick", "run_id": "r", "dataset_version": version,
                  "candidate": CANDIDATE, "refit_of": "", **more}  # fmt: skip
    (root / "input" / "config").mkdir(parents=True)
    text = json.dumps({name: encode(value) for name, value in parameters.items()})
    (root / "input" / "config" / "hyperparameters.json").write_text(text)
    channels = {
        "train": dataset_key("quick", version, "train/"),
        "manifest": dataset_key("quick", version, "manifest.json"),
        "features": run_key("quick", "r", "features/"),
    }
    for channel, prefix in channels.items():
        for found in list(store.under(prefix)):
            inside = found.key.removeprefix(prefix) or "manifest.json"
            path = root / "input" / "data" / channel / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.objects.pop(found.key))  # the job has the channels alone


def _services(spec, store):
    return SimpleNamespace(
        artifacts=store, clock=SteppingClock(), spec=lambda _: spec, code_versions=dict
    )


@pytest.mark.parametrize("encode", [str, json.dumps], ids=["plain", "JSON strings"])
def test_a_job_trains_what_the_step_trains(tmp_path, encode):
    """Channels in; the run's files and the model folder out, byte for byte."""
    spec, store, version = prepared_tickets()
    request = TrainCandidateRequest("quick", "r", version, CANDIDATE)
    own = MemoryArtifacts()
    own.objects = dict(store.objects)
    train_candidate(request, spec=spec, artifacts=own, clock=SteppingClock(), code={})
    _tree(tmp_path, store, version, encode=encode)
    sagemaker.run_job(tmp_path, _services(spec, store))
    for name in (BUNDLE_FILE, ARRAYS_FILE):
        expected = own.get(candidate_key("quick", "r", CANDIDATE, name))
        assert store.get(candidate_key("quick", "r", CANDIDATE, name)) == expected
        assert (tmp_path / "model" / name).read_bytes() == expected


def test_a_fault_is_written_where_sagemaker_reads_it(tmp_path, monkeypatch):
    """At most 1,024 characters, and exit status 1."""
    monkeypatch.setenv("NORIA_TRAINING_ROOT", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        sagemaker.main()
    assert ended.value.code == 1
    failure = (tmp_path / "output" / "failure").read_text()
    assert failure.startswith("FileNotFoundError")
    assert len(failure) <= 1024


def test_a_candidate_that_cannot_be_fitted_is_no_fault(tmp_path, monkeypatch):
    """The others decide, as on Lambda."""
    monkeypatch.setenv("NORIA_TRAINING_ROOT", str(tmp_path))

    def fails(*_):
        raise TrainingFailedError("no parameter set could be fitted")

    monkeypatch.setattr(sagemaker, "run_job", fails)
    sagemaker.main()
    assert not (tmp_path / "output").exists()


def test_the_request_is_one_that_the_service_takes():
    """The state's arguments, computed for a project, by the service's own model."""
    text = (ROOT / "statemachines" / "training.asl.json").read_text()
    states = json.loads(text)["States"]["TrainCandidates"]["ItemProcessor"]["States"]
    arguments = states["TrainOnSagemaker"]["Arguments"]
    request = json.loads(json.dumps(arguments))
    request |= {
        "TrainingJobName": "noria-p-0123",
        "RoleArn": "arn:aws:iam::123456789012:role/service-role",
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
    }
    shape = (
        botocore.session.get_session()
        .get_service_model("sagemaker")
        .shape_for("CreateTrainingJobRequest")
    )
    assert not ParamValidator().validate(request, shape).has_errors()
    assert all(isinstance(value, str) for value in arguments["HyperParameters"].values())


def test_the_archive_holds_the_program_the_code_and_what_to_install():
    """Equal sources, equal bytes."""
    body = source_archive()
    assert body == source_archive()
    with tarfile.open(fileobj=BytesIO(body)) as archive:
        names = set(archive.getnames())
    assert {"train.py", "requirements.txt", "noria/steps/train_candidate.py"} <= names
    assert "projects/tickets.toml" in names
    assert not [name for name in names if "__pycache__" in name]
