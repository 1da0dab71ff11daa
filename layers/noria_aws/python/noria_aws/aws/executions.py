"""State machines, started and looked at by the names of their executions."""

import json
from collections.abc import Mapping
from typing import Any

from noria.ports import Execution, MachineName
from noria_aws.aws.client_errors import translated

_STATUS: Mapping[str, Any] = {
    "RUNNING": "running",
    "PENDING_REDRIVE": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "timed_out",
    "ABORTED": "stopped",
}
_EVENTS = 25  # the newest, among which the state that was entered last is looked for


class StepFunctions:
    """`Executions` over Step Functions.

    Parameters
    ----------
    client
        boto3's for Step Functions.
    machines : mapping of name to ARN
    """

    def __init__(self, client: Any, machines: Mapping[MachineName, str]) -> None:
        self._client, self._machines = client, machines

    def start(self, machine: MachineName, name: str, message: Mapping[str, Any]) -> bool:
        """Start an execution; False where one of that name is there already."""
        with translated(f"starting {name}"):
            try:
                self._client.start_execution(
                    stateMachineArn=self._machines[machine], name=name, input=json.dumps(message)
                )
            except self._client.exceptions.ExecutionAlreadyExists:
                return False
        return True

    def read(self, machine: MachineName, name: str) -> Execution | None:
        """Return how an execution stands; None where there is none of that name."""
        arn = self._machines[machine].replace(":stateMachine:", ":execution:", 1) + f":{name}"
        with translated(f"reading {name}"):
            try:
                found = self._client.describe_execution(executionArn=arn)
                newest = self._client.get_execution_history(
                    executionArn=arn,
                    reverseOrder=True,
                    maxResults=_EVENTS,
                    includeExecutionData=False,
                )
            except self._client.exceptions.ExecutionDoesNotExist:
                return None
        entered = (e.get("stateEnteredEventDetails", {}).get("name") for e in newest["events"])
        return Execution(
            project=json.loads(found.get("input") or "{}").get("project"),
            status=_STATUS[found["status"]],
            started_at=found["startDate"],
            output=json.loads(found.get("output") or "{}"),
            error=found.get("error"),
            state=next(filter(None, entered), None),
        )
