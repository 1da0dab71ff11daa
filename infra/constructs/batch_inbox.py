"""Files put under `batch-inbox/` are scored: an event starts the batch state machine."""

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.stacks.storage import StorageStack

_RETRIES = 5


class BatchInbox(Construct):
    """The rule between the bucket and the state machine."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        storage: StorageStack,
        machine: sfn.StateMachine,
        dead_letters: sqs.IQueue,
    ) -> None:
        super().__init__(scope, name)
        events.Rule(
            self,
            "Files",
            description="Each file in the batch inbox is scored, once however often the event comes",
            event_pattern=storage.created("batch-inbox/"),
            targets=[
                targets.SfnStateMachine(
                    machine,
                    input=events.RuleTargetInput.from_object(
                        {
                            "key": events.EventField.from_path("$.detail.object.key"),
                            "sequencer": events.EventField.from_path("$.detail.object.sequencer"),
                        }
                    ),
                    dead_letter_queue=dead_letters,
                    retry_attempts=_RETRIES,
                )
            ],
        )
