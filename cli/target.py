"""Which deployment a command talks to: the embedded emulator, or a stage on AWS.

The AWS SDK is imported at its first use: help and complaints about a spec do not wait for it.
"""

import getpass
import json
import urllib.request
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from infra.local.emulator import Emulator
from infra.names import API_STAGE
from infra.names import LOCAL_STAGE as LOCAL
from noria.errors import SettingsError, StoreUnavailableError
from noria.ports import MachineName

if TYPE_CHECKING:
    from noria_aws.aws.access import DynamoDbAccessKeys, DynamoDbAuditLog
    from noria_aws.aws.claims import DynamoDbClaims
    from noria_aws.aws.dynamodb import DynamoDbAliases
    from noria_aws.aws.executions import StepFunctions
    from noria_aws.aws.s3 import S3Artifacts
    from noria_aws.aws.sns import SnsAlertTopic
    from noria_aws.aws.state import DynamoDbState

_HTTP_SECONDS = 35.0


class HttpAnswer(NamedTuple):
    """What the API said."""

    status: int
    body: Any


def answered(answer: HttpAnswer) -> HttpAnswer:
    """Return an answer with status 200; RuntimeError says what another one says, and what to do."""
    if answer.status == 200:
        return answer
    detail = (
        answer.body.get("detail", answer.body) if isinstance(answer.body, dict) else answer.body
    )
    advice = {401: "; see: noria keys list", 403: "; another key covers it: noria keys list"}
    raise RuntimeError(f"{answer.status}: {detail}{advice.get(answer.status, '')}")


class Target:
    """One deployed stage.

    Parameters
    ----------
    stage : str
        "local" is the embedded emulator; any other name is a stage in the AWS account and region
        of the environment.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.emulator = Emulator() if stage == LOCAL else None
        self._own_keys: dict[str, str] = {}

    def client(self, service: str) -> Any:
        """Return a boto3 client of the stage."""
        import boto3

        if self.emulator is None:
            return boto3.client(service)
        return boto3.client(
            service,
            endpoint_url=self.emulator.endpoint_url,
            region_name=self.emulator.environment()["AWS_REGION"],
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the emulator's  # pragma: allowlist secret
        )

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The platform stack's outputs; SettingsError says what to start or deploy."""
        from botocore.exceptions import BotoCoreError, ClientError

        how = "noria up" if self.emulator else f"make deploy STAGE={self.stage}"
        if self.emulator and not self.emulator.is_running():
            raise SettingsError(f"the emulator is not running; start it: {how}")
        name = f"noria-{self.stage}-platform"
        try:
            found = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except (BotoCoreError, ClientError) as error:
            raise SettingsError(f"stack {name} is not there ({error}); deploy it: {how}") from error
        return {out["OutputKey"]: out["OutputValue"] for out in found.get("Outputs", [])}

    def alert_addresses(self) -> dict[str, bool]:
        """Return the e-mail addresses that alerts and alarms go to: address -> is it confirmed."""
        pages = self.client("sns").get_paginator("list_subscriptions_by_topic")
        return {
            found["Endpoint"]: found["SubscriptionArn"].startswith("arn:")
            for page in pages.paginate(TopicArn=self.outputs["AlertTopic"])
            for found in page["Subscriptions"]
            if found["Protocol"] == "email"
        }

    @property
    def api_url(self) -> str:
        """Base URL of the API, without a trailing slash."""
        if self.emulator is None:
            return self.outputs["ApiUrl"].rstrip("/")
        api = self.outputs["ApiId"]
        return f"{self.emulator.endpoint_url}/_aws/execute-api/{api}/{API_STAGE}"

    @property
    def artifacts(self) -> "S3Artifacts":
        """The data bucket."""
        from noria_aws.aws.s3 import S3Artifacts

        return S3Artifacts(self.client("s3"), self.outputs["DataBucket"])

    @property
    def aliases(self) -> "DynamoDbAliases":
        """The alias table."""
        from noria_aws.aws.dynamodb import DynamoDbAliases

        return DynamoDbAliases(self.client("dynamodb"), self.outputs["AliasTable"])

    @property
    def state(self) -> "DynamoDbState":
        """Records that change, in the alias table."""
        from noria_aws.aws.state import DynamoDbState

        return DynamoDbState(self.client("dynamodb"), self.outputs["AliasTable"])

    @property
    def executions(self) -> "StepFunctions":
        """The state machines."""
        from noria_aws.aws.executions import StepFunctions

        names: tuple[MachineName, ...] = ("Training", "Monitoring", "Batch")
        machines = {name: self.outputs[f"{name}StateMachine"] for name in names}
        return StepFunctions(self.client("stepfunctions"), machines)

    @property
    def claims(self) -> "DynamoDbClaims":
        """Locks in the alias table."""
        from noria_aws.aws.claims import DynamoDbClaims

        return DynamoDbClaims(self.client("dynamodb"), self.outputs["AliasTable"])

    @property
    def alert_topic(self) -> "SnsAlertTopic":
        """Where alerts are published."""
        from noria_aws.aws.sns import SnsAlertTopic

        return SnsAlertTopic(self.client("sns"), self.outputs["AlertTopic"])

    @property
    def access_keys(self) -> "DynamoDbAccessKeys":
        """The keys of the API."""
        from noria_aws.aws.access import DynamoDbAccessKeys

        return DynamoDbAccessKeys(self.client("dynamodb"), self.outputs["AccessTable"])

    @property
    def audit_log(self) -> "DynamoDbAuditLog":
        """What admins did."""
        from noria_aws.aws.access import DynamoDbAuditLog

        return DynamoDbAuditLog(self.client("dynamodb"), self.outputs["AccessTable"])

    @cached_property
    def actor(self) -> str:
        """Who runs commands, for histories and the audit log: on AWS, whose rights they have."""
        if self.emulator is not None:
            return getpass.getuser()
        return str(self.client("sts").get_caller_identity()["Arn"])

    def audited[T](
        self, operation: str, project: str | None, request: Mapping[str, Any], do: Callable[[], T]
    ) -> T:
        """Do what an admin asks for, between two entries of the audit log."""
        from noria.access.audit import Act, Auditor
        from noria_aws.aws.clock import SystemClock

        auditor = Auditor(
            self.audit_log, self.artifacts, self.aliases, SystemClock(), lambda *_: None
        )
        return auditor.audited(Act(self.actor, operation, project, request), do)

    def api_key(self, scope: str) -> str:
        """Return a key of the API: on this machine its own of a scope, else NORIA_API_KEY."""
        if self.emulator is None:
            from noria_aws.aws.settings import API_KEY, optional_setting

            if given := optional_setting(API_KEY):
                return given
            raise SettingsError(
                f"the API of stage '{self.stage}' needs a key: set {API_KEY}; make one: "
                f"noria keys create NAME --scope {scope} --stage {self.stage}"
            )
        if scope not in self._own_keys:
            from cli.local_keys import local_key
            from noria_aws.aws.clock import SystemClock

            folder = self.emulator.folder
            self._own_keys[scope] = local_key(folder, scope, self.access_keys, SystemClock())
        return self._own_keys[scope]

    def call(self, method: str, path: str, body: Any = None, *, scope: str = "user") -> HttpAnswer:
        """Call the API over HTTP and return its answer, whatever the status."""
        request = urllib.request.Request(  # noqa: S310 - http(s) only, from the stack's outputs
            self.api_url + quote(path),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"x-api-key": self.api_key(scope), "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_HTTP_SECONDS) as answer:  # noqa: S310 - as above
                return HttpAnswer(answer.status, json.loads(answer.read()))
        except HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            try:
                return HttpAnswer(error.code, json.loads(text))
            except ValueError:
                return HttpAnswer(error.code, {"detail": text})
        except (URLError, OSError) as error:
            raise StoreUnavailableError(f"{self.api_url} does not answer: {error}") from error
