"""The Glue job of heavy work: its code, its role, and a state machine's right to start it.

It costs nothing while it does not run, so every deployment has it.
"""

from collections.abc import Iterator, Mapping, Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import bundling
from infra.config import Deployment
from infra.constructs.function import allow
from infra.stacks.storage import StorageStack

_PROGRAM = b"from noria_aws.glue_job import main\n\nmain()\n"
_READS = (
    "datasets/*/train/*", "datasets/*/manifest.json", "runs/*", "models/*", "analyses/*",
    "inbox/*", "batch-inbox/*",
)  # fmt: skip
_WRITES = ("runs/*", "analyses/*")
_MOST_AT_ONCE = 10  # candidates of the Map


class GlueJobs(Construct):
    """One job for all tasks; the test rows are out of its reach."""

    def __init__(
        self, scope: Construct, name: str, *, deployment: Deployment, storage: StorageStack
    ) -> None:
        super().__init__(scope, name)
        program = assets.Asset(self, "Program", path=str(bundling.kept_file("job.py", _PROGRAM)))
        code = assets.Asset(
            self, "Code", path=str(bundling.kept_file("noria.zip", bundling.glue_archive()))
        )
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
        for statement in self._rights(storage.bucket, (program, code)):
            role.add_to_policy(statement)
        self._job = glue.CfnJob(
            self,
            "Job",
            description="Noria: rows that outgrow one machine, and training where the spec says so",
            role=role.role_arn,
            glue_version="6.0",  # Spark 4.1, Python 3.13 as everywhere
            command=glue.CfnJob.JobCommandProperty(
                name="glueetl", python_version="3", script_location=program.s3_object_url
            ),
            worker_type="G.1X",
            number_of_workers=2,
            timeout=2880,  # minutes; each run names its own
            max_retries=0,  # the state machine retries what is worth it
            execution_property=glue.CfnJob.ExecutionPropertyProperty(
                max_concurrent_runs=_MOST_AT_ONCE
            ),
            default_arguments={
                "--additional-python-modules": bundling.glue_modules(),
                "--extra-py-files": code.s3_object_url,
                "--data_bucket": storage.bucket.bucket_name,
                "--code_version": bundling.code_version(deployment.architecture),
                "--enable-continuous-cloudwatch-log": "true",
            },
        )
        self.substitutions: Mapping[str, str] = {"GlueJob": self._job.ref}

    def _rights(
        self, bucket: s3.IBucket, files: Sequence[assets.Asset]
    ) -> Iterator[iam.PolicyStatement]:
        """Yield what the job may do."""
        logs = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws-glue/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        yield allow(["s3:ListBucket"], [bucket.bucket_arn])
        yield allow(["s3:GetObject"], [bucket.arn_for_objects(key) for key in _READS])
        yield allow(["s3:PutObject"], [bucket.arn_for_objects(key) for key in _WRITES])
        # Spark writes a folder's files under a temporary name first.
        yield allow(["s3:DeleteObject"], [bucket.arn_for_objects("analyses/*")])
        for file in files:
            yield allow(["s3:GetObject"], [file.bucket.arn_for_objects(file.s3_object_key)])
        yield allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [logs])

    def statements(self) -> list[iam.PolicyStatement]:
        """Return what a state machine needs to run the job and wait for it."""
        arn = Stack.of(self).format_arn(service="glue", resource="job", resource_name=self._job.ref)
        return [
            allow(
                ["glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"],
                [arn],
            )
        ]
