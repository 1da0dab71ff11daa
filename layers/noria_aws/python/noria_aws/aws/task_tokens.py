"""Executions that wait for an approval, answered by their token."""

from typing import Any

from noria_aws.aws.client_errors import translated


class TaskTokens:
    """`WaitingExecutions` over Step Functions.

    Parameters
    ----------
    client
        boto3's for Step Functions.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def answer(self, token: str, *, is_approved: bool, by: str) -> bool:
        """Approve or reject; False when the execution no longer waits."""
        gone = self._client.exceptions
        with translated("answering an execution"):
            try:
                if is_approved:
                    self._client.send_task_success(taskToken=token, output="{}")
                else:
                    self._client.send_task_failure(
                        taskToken=token, error="Rejected", cause=f"by {by}"
                    )
            except (gone.TaskTimedOut, gone.TaskDoesNotExist, gone.InvalidToken):
                return False
        return True
