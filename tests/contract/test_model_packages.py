"""SageMaker's registry and training jobs, by moto: what is called is what the service knows."""

import json

import boto3
import pytest
from moto import mock_aws

from noria.errors import SettingsError
from noria.records.approval import PendingApproval
from noria.records.codec import to_bytes
from noria.steps.follow_approval import FollowApprovalRequest, follow_approval
from noria_aws.aws.model_packages import ModelPackages
from tests.support.fakes import MemoryState

_ROLE = "arn:aws:iam::123456789012:role/training"


@pytest.fixture
def client(monkeypatch):
    """SageMaker in memory."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield boto3.client("sagemaker", region_name="eu-west-1")


def _packages(client, group):
    found = client.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    return [client.describe_model_package(ModelPackageName=p["ModelPackageArn"]) for p in found]


def test_a_version_is_a_package_of_its_projects_group(client):
    """With its status and what people want to see; the second finds the group there."""
    packages = ModelPackages(client, "noria")
    packages.mirror("house_prices", "v1", "Rejected", {"metric.rmse": "2.5"})
    packages.mirror("house_prices", "v2", "PendingManualApproval", {"long": "x" * 999})
    first, second = sorted(
        _packages(client, "noria-house-prices"), key=lambda p: p["ModelPackageVersion"]
    )
    assert first["ModelApprovalStatus"] == "Rejected"
    assert first["CustomerMetadataProperties"] == {
        "metric.rmse": "2.5", "project": "house_prices", "model_version": "v1",
    }  # fmt: skip
    assert second["ModelApprovalStatus"] == "PendingManualApproval"
    assert len(second["CustomerMetadataProperties"]["long"]) == 256
    arn = second["ModelPackageArn"]
    assert packages.model_version_of(arn) == ("house_prices", "v2")


def test_the_status_of_a_version_is_its_newest_packages(client):
    """By what lists of packages show; a version without one, or a project, has none."""
    packages = ModelPackages(client, "noria")
    for version in ("v1", "v10"):
        packages.mirror("p", version, "PendingManualApproval", {})
    arns = {found["CustomerMetadataProperties"]["model_version"]: found["ModelPackageArn"]
            for found in _packages(client, "noria-p")}  # fmt: skip
    client.update_model_package(ModelPackageArn=arns["v1"], ModelApprovalStatus="Approved")
    assert packages.status_of("p", "v1") == "Approved"
    assert packages.status_of("p", "v10") == "PendingManualApproval"
    assert packages.status_of("p", "v2") is None


def test_a_package_of_another_owner_is_not_ours(client):
    """In a group that happens to have our name."""
    client.create_model_package_group(ModelPackageGroupName="noria-x")
    made = client.create_model_package(
        ModelPackageGroupName="noria-x", CustomerMetadataProperties={"team": "other"}
    )
    with pytest.raises(KeyError):
        ModelPackages(client, "noria").model_version_of(made["ModelPackageArn"])


def test_a_status_that_sagemaker_does_not_know_is_a_fault_of_settings(client):
    """Not a crash of the step."""
    client.meta.events.register("before-call.sagemaker.CreateModelPackage", _deny)
    with pytest.raises(SettingsError, match="v1"):
        ModelPackages(client, "noria").mirror("p", "v1", "Approved", {})


def _deny(**_):
    from botocore.exceptions import ClientError

    error = {"Code": "AccessDeniedException", "Message": "no"}
    raise ClientError(
        {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}, "CreateModelPackage"
    )


def test_what_is_approved_there_answers_the_rollout_that_waits(client):
    """From the event's package to the token."""
    packages, state, answers = ModelPackages(client, "noria"), MemoryState(), []
    packages.mirror("p", "v1", "PendingManualApproval", {})
    (made,) = _packages(client, "noria-p")
    pending = PendingApproval("v1", "run", "t", "2026-03-01T00:00:00+00:00")
    state.write("p", "pending_approval", to_bytes(pending), expected_revision=0)

    class Waiting:
        def answer(self, token, *, is_approved, by):
            answers.append((token, is_approved))
            return True

    request = FollowApprovalRequest(made["ModelPackageArn"], "Approved")
    here = {"state": state, "packages": packages, "waiting": Waiting()}
    assert follow_approval(request, **here).outcome == "answered"
    assert answers == [("t", True)]


def test_the_training_job_of_a_candidate_is_taken_by_the_service(client):
    """The request of the state machine, its expressions filled in."""
    from infra.names import ROOT

    text = (ROOT / "statemachines" / "training.asl.json").read_text()
    states = json.loads(text)["States"]["TrainCandidates"]["ItemProcessor"]["States"]
    request = states["TrainOnSagemaker"]["Arguments"]
    request |= {
        "TrainingJobName": "noria-p-0123",
        "RoleArn": _ROLE,
        "ResourceConfig": {**request["ResourceConfig"], "InstanceType": "ml.m5.xlarge"},
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
    }
    client.create_training_job(**request)
    found = client.describe_training_job(TrainingJobName="noria-p-0123")
    assert found["TrainingJobStatus"] == "Completed"
    assert found["HyperParameters"]["sagemaker_program"] == "train.py"
    assert {c["ChannelName"] for c in found["InputDataConfig"]} == {"train", "manifest", "features"}
