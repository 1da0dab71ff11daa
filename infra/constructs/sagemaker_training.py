"""What training jobs need: the code they run, a role, and the state machine's right to start them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import bundling
from infra.config import Deployment, trained_on_sagemaker
from infra.constructs.function import allow, service
from infra.stacks.storage import StorageStack

_NOWHERE = "not-configured"
_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([\w-]+)\.amazonaws\.[\w.]+/([^:@]+)")
_RESOURCE = "arn:aws:states:::sagemaker:createTrainingJob.sync"
_METRICS = "/aws/sagemaker/TrainingJobs"  # where a job's own metrics go
_READS = ("datasets/*/train/*", "datasets/*/manifest.json", "runs/*", "models/*")


class SagemakerTraining(Construct):
    """Training jobs of candidates, where `noria:sagemaker_image` names an image for them."""

    def __init__(
        self, scope: Construct, name: str, *, deployment: Deployment, storage: StorageStack
    ) -> None:
        super().__init__(scope, name)
        self._image = deployment.sagemaker_image
        self.substitutions: Mapping[str, str] = {
            "SagemakerImage": self._image or _NOWHERE,
            "SagemakerRole": _NOWHERE,
            "SagemakerSource": _NOWHERE,
            "DataBucket": storage.bucket.bucket_name,
            "CodeVersion": bundling.code_version(deployment.architecture),
        }
        if self._image:
            self._add_job_parts(storage)
        elif wanting := trained_on_sagemaker():
            raise ValueError(
                f"{', '.join(wanting)}: training.backend = 'sagemaker' needs an image: set "
                "noria:sagemaker_image to the address of the prebuilt scikit-learn image of your "
                "region"
            )

    def _add_job_parts(self, storage: StorageStack) -> None:
        source = assets.Asset(
            self,
            "Source",
            path=str(bundling.kept_file("sourcedir.tar.gz", bundling.source_archive())),
        )
        self._role = iam.Role(self, "Role", assumed_by=service("sagemaker"))
        bucket = storage.bucket
        logs = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws/sagemaker/TrainingJobs*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        for statement in (
            allow(["s3:ListBucket"], [bucket.bucket_arn]),
            allow(["s3:GetObject"], [bucket.arn_for_objects(key) for key in _READS]),
            allow(["s3:PutObject"], [bucket.arn_for_objects("runs/*")]),
            allow(["s3:GetObject"], [source.bucket.arn_for_objects(source.s3_object_key)]),
            allow(
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                [logs],
            ),
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": _METRICS}},
            ),
            allow(["ecr:GetAuthorizationToken"], ["*"]),
            allow(
                ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer",
                 "ecr:BatchGetImage"],
                [self._repository()],
            ),
        ):  # fmt: skip
            self._role.add_to_policy(statement)
        self.substitutions = {
            **self.substitutions,
            "SagemakerRole": self._role.role_arn,
            "SagemakerSource": source.s3_object_url,
        }

    def _repository(self) -> str:
        """Return where the image lies; prebuilt ones lie in accounts of AWS."""
        found = _ECR.match(self._image or "")
        account, region, name = found.groups() if found else ("*", "*", "*")
        return Stack.of(self).format_arn(
            service="ecr",
            account=account,
            region=region,
            resource="repository",
            resource_name=name,
        )

    def offered(self, text: str) -> str:
        """Return a machine's text as it is deployed: without states for jobs that nobody can run.

        Step Functions refuses a machine that waits for training jobs and may not make the rule
        that tells it of their end.
        """
        if self._image or _RESOURCE not in text:
            return text
        machine = json.loads(text)
        _without_jobs(machine)
        return json.dumps(machine, indent=2)

    def statements(self, text: str) -> list[iam.PolicyStatement]:
        """Return what a state machine needs to run the jobs of its text and wait for them."""
        if _RESOURCE not in text:
            return []
        stack = Stack.of(self)
        jobs = stack.format_arn(
            service="sagemaker", resource="training-job", resource_name="noria-*"
        )
        rule = stack.format_arn(
            service="events",
            resource="rule",
            resource_name="StepFunctionsGetEventsForSageMakerTrainingJobsRule",
        )
        return [
            allow(
                ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob",
                 "sagemaker:StopTrainingJob", "sagemaker:AddTags", "sagemaker:ListTags"],
                [jobs],
            ),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self._role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], [rule]),
        ]  # fmt: skip


def _without_jobs(machine: dict[str, Any]) -> None:
    """Drop the states that run training jobs, and the choices that lead to them."""
    states = machine["States"]
    gone = {name for name, state in states.items() if state.get("Resource") == _RESOURCE}
    for name in gone:
        del states[name]
    for state in states.values():
        if state["Type"] == "Choice":
            state["Choices"] = [c for c in state["Choices"] if c["Next"] not in gone]
        if state["Type"] == "Map":
            _without_jobs(state["ItemProcessor"])
