"""A state machine from its file, with the right to call what the file names."""

from collections.abc import Mapping

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra import bundling
from infra.config import Deployment
from infra.constructs.function import allow, machine_log_group
from infra.constructs.glue_jobs import GlueJobs
from infra.constructs.sagemaker_training import SagemakerTraining
from infra.constructs.steps import Steps
from infra.names import ROOT


class NoriaStateMachine(Construct):
    """`statemachines/<name>.asl.json`, deployed."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        steps: Steps,
        starts: Mapping[str, sfn.IStateMachine],
        training_jobs: SagemakerTraining,
        glue_jobs: GlueJobs,
    ) -> None:
        """`starts` are the machines it may start, by their name in the file."""
        super().__init__(scope, name)
        path = ROOT / "statemachines" / f"{name.lower()}.asl.json"
        text = training_jobs.offered(path.read_text(encoding="utf-8"))
        known = {
            **steps.substitutions(),
            **training_jobs.substitutions,
            **glue_jobs.substitutions,
        }
        known |= {f"{other}StateMachine": m.state_machine_arn for other, m in starts.items()}
        used = {key: value for key, value in known.items() if f"${{{key}}}" in text}
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_file(
                str(bundling.kept_file(path.name, text.encode()))
            ),
            definition_substitutions=used,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=machine_log_group(self, "Log", deployment),
                level=sfn.LogLevel.ALL,
                include_execution_data=False,
            ),
        )
        functions = [value for key, value in used.items() if key.endswith("Function")]
        if functions:
            self.state_machine.add_to_role_policy(allow(["lambda:InvokeFunction"], functions))
        for statement in (*training_jobs.statements(text), *glue_jobs.statements(text)):
            self.state_machine.add_to_role_policy(statement)
        if '"DISTRIBUTED"' in text:
            self._may_run_itself()
        if starts:
            arns = [machine.state_machine_arn for machine in starts.values()]
            self.state_machine.add_to_role_policy(allow(["states:StartExecution"], arns))

    def _may_run_itself(self) -> None:
        """Let a Distributed Map start its children: executions of the machine itself.

        A policy of its own, because the machine waits for its role's.
        """
        machine = self.state_machine
        children = Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{machine.state_machine_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        iam.Policy(
            self,
            "MapRuns",
            roles=[machine.role],
            statements=[
                allow(["states:StartExecution"], [machine.state_machine_arn]),
                allow(["states:DescribeExecution", "states:StopExecution"], [children]),
            ],
        )
