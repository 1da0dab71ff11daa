"""What starts monitoring: chunks of the prediction log, and the schedules of each project."""

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config import Deployment, Schedules, schedules
from infra.constructs.function import allow, service
from infra.constructs.steps import Steps
from infra.names import LOCAL_STAGE
from infra.stacks.storage import StorageStack

_RETRIES = 5


class Monitoring(Construct):
    """Events and schedules."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        steps: Steps,
        machine: sfn.IStateMachine,
    ) -> None:
        super().__init__(scope, name)
        events.Rule(
            self,
            "LogChunks",
            description="Each chunk of the prediction log gets its profile",
            event_pattern=storage.created("predictions/"),
            targets=[
                targets.LambdaFunction(
                    steps.functions["profile_log_chunk"],
                    event=events.RuleTargetInput.from_object(
                        {"key": events.EventField.from_path("$.detail.object.key")}
                    ),
                    dead_letter_queue=steps.dead_letters,
                    retry_attempts=_RETRIES,
                )
            ],
        )
        function = steps.functions["start_scheduled_check"]
        function.add_environment("NORIA_MONITORING_MACHINE", machine.state_machine_arn)
        # A policy of its own, because the machine's definition waits for all functions.
        iam.Policy(
            self,
            "Start",
            roles=[role for role in (function.role,) if role],
            statements=[allow(["states:StartExecution"], [machine.state_machine_arn])],
        )
        self._role = iam.Role(self, "Scheduler", assumed_by=service("scheduler"))
        self._role.add_to_policy(allow(["lambda:InvokeFunction"], [function.function_arn]))
        self._role.add_to_policy(allow(["sqs:SendMessage"], [steps.dead_letters.queue_arn]))
        # On the emulator time belongs to `noria simulate` and `noria monitor`.
        self._state = "DISABLED" if deployment.stage == LOCAL_STAGE else "ENABLED"
        for project, wanted in schedules().items():
            self._add(project, wanted, function, steps)

    def _add(
        self, project: str, wanted: Schedules, function: lambda_.Function, steps: Steps
    ) -> None:
        for kind, hours in (("monitor", wanted.every_hours), ("full", wanted.retrain_every_hours)):
            text = Stack.of(self).to_json_string(
                {
                    "project": project,
                    "may_retrain": kind == "full",
                    # Equal for both, where they fall together: such checks count as one.
                    "at": "<aws.scheduler.scheduled-time>",
                }
            )
            scheduler.CfnSchedule(
                self,
                f"{kind}-{project}",
                description=f"Noria: look at {project}, {kind}",
                flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
                schedule_expression=_every(hours),
                state=self._state if wanted.enabled else "DISABLED",
                target=scheduler.CfnSchedule.TargetProperty(
                    arn=function.function_arn,
                    role_arn=self._role.role_arn,
                    input=text,
                    dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                        arn=steps.dead_letters.queue_arn
                    ),
                ),
            )


def _every(hours: int) -> str:
    """Return the schedule: at five past the hour where hours divide the day, so that both meet."""
    if 24 % hours:
        return f"rate({hours} hours)"
    return f"cron(5 {','.join(map(str, range(0, 24, hours))) if hours > 1 else '*'} * * ? *)"
