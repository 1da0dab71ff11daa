"""How people hear of things: a topic, e-mail, and a function for the chat services."""

from collections.abc import Mapping

from aws_cdk import Annotations, Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config import Deployment, chat_is_wanted
from infra.constructs.code import Layers
from infra.constructs.function import NoriaFunction, Runtime, allow
from infra.constructs.steps import CLAIM_KEYS, CLAIMS, Steps, dead_letter_queue
from infra.names import LOCAL_STAGE
from infra.stacks.storage import StorageStack

_SECONDS, _MEMORY_MB, _ATTEMPTS = 60, 512, 8
_RETRIES = 185  # EventBridge's most: it tries for a day


class Alerts(Construct):
    """The topic, and what listens to it."""

    def __init__(self, scope: Construct, name: str, *, deployment: Deployment) -> None:
        super().__init__(scope, name)
        self.topic = sns.Topic(self, "Topic", enforce_ssl=True)
        # A topic with a policy of its own lets only those publish whom it names; functions have
        # the right in their roles.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        if deployment.alert_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(deployment.alert_email))
        elif deployment.stage != LOCAL_STAGE:
            Annotations.of(self).add_warning_v2(
                "noria:no-alert-email",
                "alarms and alerts of this stage reach nobody by e-mail: deploy with "
                "-c noria:alert_email=ADDRESS, and confirm the message that AWS sends there",
            )
        self.dead_letters: sqs.Queue | None = None
        self.queue: sqs.Queue | None = None
        self.channels: secretsmanager.Secret | None = None
        if chat_is_wanted():  # a secret, and a queue that is polled, cost money used or not
            self._add_chats()

    def _add_chats(self) -> None:
        """Add the queue of what chat services are told, and the secret with their addresses."""
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(_SECONDS * 6),  # AWS asks for six times
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=_ATTEMPTS
            ),
        )
        self.topic.add_subscription(
            subscriptions.SqsSubscription(
                self.queue,
                raw_message_delivery=True,
                # What AWS itself publishes here (alarms) is for e-mail.
                filter_policy={"level": sns.SubscriptionFilter.exists_filter()},
            )
        )
        self.channels = secretsmanager.Secret(
            self,
            "Channels",
            description="Addresses of the chat services, as JSON; see docs/operations.md",
            removal_policy=RemovalPolicy.RETAIN,
        )

    def add_notifier(
        self,
        *,
        deployment: Deployment,
        storage: StorageStack,
        layers: Layers,
        environment: Mapping[str, str],
    ) -> None:
        """Add the function that delivers the queue's alerts, where a spec names a chat service."""
        if self.queue is None or self.channels is None:
            return
        notify = NoriaFunction(
            self,
            "notify",
            deployment=deployment,
            layers=layers,
            runtime=Runtime(("training_runtime",), _MEMORY_MB, _SECONDS),
            environment=environment,
            statements=[
                allow(CLAIMS, [storage.aliases.table_arn], keys=CLAIM_KEYS),
                allow(["secretsmanager:GetSecretValue"], [self.channels.secret_arn]),
            ],
        )
        notify.function.add_event_source(
            event_sources.SqsEventSource(self.queue, batch_size=5, report_batch_item_failures=True)
        )

    def add_executions(self, *, machines: Mapping[str, sfn.StateMachine], steps: Steps) -> None:
        """Alert of every execution that fails, times out or is stopped, whatever state it is in.

        AWS delivers these events on a best-effort basis; the alarms on failed executions do not
        depend on them.
        """
        events.Rule(
            self,
            "Executions",
            description="An execution that did not succeed is told",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                    "stateMachineArn": [m.state_machine_arn for m in machines.values()],
                },
            ),
            targets=[
                targets.LambdaFunction(
                    steps.functions["raise_alert"],
                    dead_letter_queue=steps.dead_letters,
                    retry_attempts=_RETRIES,
                )
            ],
        )
