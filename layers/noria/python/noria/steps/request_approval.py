"""Keep the token of a rollout that waits for an approval."""

from dataclasses import dataclass
from datetime import timedelta

from noria.errors import StoreUnavailableError
from noria.ports import Clock, ProjectState
from noria.records.approval import PendingApproval
from noria.records.codec import to_bytes
from noria.storage.keys import APPROVAL


@dataclass(frozen=True)
class RequestApprovalRequest:
    """Which version waits, and the token that lets its execution go on."""

    project: str
    run_id: str
    model_version: str
    task_token: str
    seconds: int  # until it expires


@dataclass(frozen=True)
class RequestApprovalResult:
    """Until when there is time."""

    expires_at: str  # UTC, ISO 8601


def request_approval(
    request: RequestApprovalRequest, *, state: ProjectState, clock: Clock
) -> RequestApprovalResult:
    """Write the pending approval, which `noria approve` answers; it replaces an earlier one.

    Raises
    ------
    StoreUnavailableError
        Another rollout of the project asked at the same moment; retry.
    """
    expires_at = (clock.now() + timedelta(seconds=request.seconds)).isoformat()
    pending = PendingApproval(request.model_version, request.run_id, request.task_token, expires_at)
    revision = state.read(request.project, APPROVAL).revision
    if not state.write(request.project, APPROVAL, to_bytes(pending), expected_revision=revision):
        raise StoreUnavailableError(f"{request.project}: another approval was asked for just now")
    return RequestApprovalResult(expires_at)
