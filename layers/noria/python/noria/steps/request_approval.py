"""Keep the token of a rollout that waits for an approval, unless it is there already."""

from dataclasses import dataclass
from datetime import timedelta

from noria.errors import SettingsError, StoreUnavailableError
from noria.ports import Clock, PackageRegistry, ProjectState, WaitingExecutions
from noria.records.approval import APPROVED, DECIDED, REGISTRY, PendingApproval
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
    status: str | None = None  # of the other registry, or why it could not be looked up


def request_approval(
    request: RequestApprovalRequest,
    *,
    state: ProjectState,
    clock: Clock,
    packages: PackageRegistry | None,
    waiting: WaitingExecutions,
) -> RequestApprovalResult:
    """Write the pending approval, which `noria approve` answers; it replaces an earlier one.

    What was approved or rejected in the other registry before the rollout asked counts: its event
    came when nothing waited. It is looked up after the approval is written, so that whoever
    decides in between finds one or the other.

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
    try:
        status = packages.status_of(request.project, request.model_version) if packages else None
    except SettingsError as error:  # the approval can still be given, here and there
        status = error.message
    if status not in DECIDED:
        return RequestApprovalResult(expires_at, status)
    waiting.answer(request.task_token, is_approved=status == APPROVED, by=REGISTRY)
    return RequestApprovalResult(expires_at, status)
