"""The Glue jobs of heavy work: their code, their roles, and a state machine's right to start them.

They cost nothing while they do not run, so every deployment has them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import bundling
from infra.config import Deployment
from infra.constructs.function import allow, service
from infra.stacks.storage import StorageStack

_PROGRAM = b"from noria_aws.jobs.glue import main\n\nmain()\n"
_MOST_AT_ONCE = 50  # runs of one job: a training asks for ten at most


class _Rights(NamedTuple):
    """What a job may touch; keys are below the data bucket."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    deletes: tuple[str, ...] = ()


# Whatever trains never sees the test rows: not in a dataset, and not in the inbox.
_JOBS = {
    "Training": _Rights(
        ("datasets/*/train/*", "datasets/*/manifest.json", "runs/*", "models/*"), ("runs/*",)
    ),
    # Spark writes a folder's files under a temporary name first.
    "Analysis": _Rights(
        ("inbox/*", "batch-inbox/*", "models/*", "analyses/*"), ("analyses/*",), ("analyses/*",)
    ),
}


class GlueJobs(Construct):
    """One job for training, one for archives, of the same code."""

    def __init__(
        self, scope: Construct, name: str, *, deployment: Deployment, storage: StorageStack
    ) -> None:
        super().__init__(scope, name)
        self._storage, self._version = storage, bundling.code_version(deployment.architecture)
        self._program, self._code, self._modules = (
            assets.Asset(self, of, path=str(bundling.kept_file(file, body)))
            for of, file, body in (
                ("Program", "job.py", _PROGRAM),
                ("Code", "noria.zip", bundling.glue_archive()),
                ("Modules", "requirements.txt", bundling.glue_requirements()),
            )
        )
        self._jobs = {of: self._job(of, rights) for of, rights in _JOBS.items()}
        self.substitutions: Mapping[str, str] = {
            f"Glue{of}Job": job.ref for of, job in self._jobs.items()
        }

    def statements(self, text: str) -> Iterator[iam.PolicyStatement]:
        """Yield what a state machine needs to run the jobs that its text names."""
        for of, job in self._jobs.items():
            if f"${{Glue{of}Job}}" in text:
                arn = Stack.of(self).format_arn(
                    service="glue", resource="job", resource_name=job.ref
                )
                yield allow(
                    ["glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns",
                     "glue:BatchStopJobRun"],
                    [arn],
                )  # fmt: skip

    def _job(self, of: str, rights: _Rights) -> glue.CfnJob:
        role = iam.Role(self, f"{of}Role", assumed_by=service("glue"))
        for statement in self._rights(self._storage.bucket, rights):
            role.add_to_policy(statement)
        return glue.CfnJob(
            self,
            of,
            description=f"Noria: {of.lower()} that outgrows one function",
            role=role.role_arn,
            glue_version="6.0",  # Spark 4.1, Python 3.13 as everywhere
            command=glue.CfnJob.JobCommandProperty(
                name="glueetl", python_version="3", script_location=self._program.s3_object_url
            ),
            worker_type="G.1X",
            number_of_workers=2,
            timeout=2880,  # minutes; each run names its own
            max_retries=0,  # the state machine retries what is worth it
            execution_property=glue.CfnJob.ExecutionPropertyProperty(
                max_concurrent_runs=_MOST_AT_ONCE
            ),
            default_arguments={
                "--python-modules-installer-option": "-r",
                "--additional-python-modules": self._modules.s3_object_url,
                "--extra-py-files": self._code.s3_object_url,
                "--data_bucket": self._storage.bucket.bucket_name,
                "--code_version": self._version,
                "--enable-continuous-cloudwatch-log": "true",
            },
        )

    def _rights(self, bucket: s3.IBucket, rights: _Rights) -> Iterator[iam.PolicyStatement]:
        def keys(names: Sequence[str]) -> list[str]:
            return [bucket.arn_for_objects(name) for name in names]

        logs = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws-glue/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        yield allow(["s3:ListBucket"], [bucket.bucket_arn])
        yield allow(["s3:GetObject"], keys(rights.reads))
        yield allow(["s3:PutObject"], keys(rights.writes))
        if rights.deletes:
            yield allow(["s3:DeleteObject", "s3:AbortMultipartUpload"], keys(rights.deletes))
        for file in (self._program, self._code, self._modules):
            yield allow(["s3:GetObject"], [file.bucket.arn_for_objects(file.s3_object_key)])
        yield allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [logs])
