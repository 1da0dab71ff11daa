"""Files that are put under a prefix start a state machine, at once or by a schedule."""

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config import Deployment, batch_schedules
from infra.constructs.function import allow, service
from infra.constructs.steps import Steps
from infra.names import LOCAL_STAGE
from infra.stacks.storage import StorageStack

_RETRIES = 5


class Inbox(Construct):
    """The rule between the bucket and the state machine."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        prefix: str,
        description: str,
        storage: StorageStack,
        machine: sfn.StateMachine,
        dead_letters: sqs.IQueue,
    ) -> None:
        super().__init__(scope, name)
        role = iam.Role(self, "Role", assumed_by=service("events"))
        role.add_to_policy(allow(["states:StartExecution"], [machine.state_machine_arn]))
        events.Rule(
            self,
            "Files",
            description=description,
            event_pattern=storage.created(prefix),
            targets=[
                targets.SfnStateMachine(
                    machine,
                    input=events.RuleTargetInput.from_object(
                        {
                            "key": events.EventField.from_path("$.detail.object.key"),
                            "sequencer": events.EventField.from_path("$.detail.object.sequencer"),
                        }
                    ),
                    role=role,
                    dead_letter_queue=dead_letters,
                    retry_attempts=_RETRIES,
                )
            ],
        )


class BatchSchedules(Construct):
    """What starts the files of a project that wait for its schedule."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        steps: Steps,
        machine: sfn.StateMachine,
    ) -> None:
        super().__init__(scope, name)
        function = steps.functions["start_batches"]
        function.add_environment("NORIA_BATCH_MACHINE", machine.state_machine_arn)
        # A policy of its own, because the machine's definition waits for all functions.
        iam.Policy(
            self,
            "Start",
            roles=[role for role in (function.role,) if role],
            statements=[allow(["states:StartExecution"], [machine.state_machine_arn])],
        )
        found = batch_schedules()
        if not found:
            return
        role = iam.Role(self, "Role", assumed_by=service("scheduler"))
        role.add_to_policy(allow(["lambda:InvokeFunction"], [function.function_arn]))
        role.add_to_policy(allow(["sqs:SendMessage"], [steps.dead_letters.queue_arn]))
        for project, schedule in found.items():
            scheduler.CfnSchedule(
                self,
                project,
                description=f"Noria: score the files of {project} that wait",
                flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
                schedule_expression=schedule,
                # On the emulator: noria start-batches.
                state="DISABLED" if deployment.stage == LOCAL_STAGE else "ENABLED",
                target=scheduler.CfnSchedule.TargetProperty(
                    arn=function.function_arn,
                    role_arn=role.role_arn,
                    input=Stack.of(self).to_json_string({"project": project}),
                    dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                        arn=steps.dead_letters.queue_arn
                    ),
                ),
            )
