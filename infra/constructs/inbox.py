"""Files that are put under a prefix start a state machine."""

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.function import allow, service
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
