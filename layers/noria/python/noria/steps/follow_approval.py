"""Resume a waiting rollout when SageMaker approves or rejects its model version."""

from dataclasses import dataclass
from typing import Literal

from noria.ports import PackageRegistry, ProjectState, WaitingExecutions
from noria.records.approval import APPROVED, REGISTRY, PendingApproval
from noria.records.codec import from_bytes
from noria.storage.keys import APPROVAL


@dataclass(frozen=True)
class FollowApprovalRequest:
    """Which package got which status."""

    package: str  # as the other registry names it
    status: str  # "Approved" or "Rejected"


@dataclass(frozen=True)
class FollowApprovalResult:
    """What came of it."""

    outcome: Literal["answered", "nothing_waits", "not_ours"]


def follow_approval(
    request: FollowApprovalRequest,
    *,
    state: ProjectState,
    packages: PackageRegistry | None,
    waiting: WaitingExecutions,
) -> FollowApprovalResult:
    """Answer the rollout that waits for this very version, and no other.

    A status without a waiting rollout changes nothing: promotion needs the gate.
    """
    if packages is None:
        return FollowApprovalResult("not_ours")
    try:
        project, model_version = packages.model_version_of(request.package)
    except KeyError:
        return FollowApprovalResult("not_ours")
    body = state.read(project, APPROVAL).body
    pending = from_bytes(PendingApproval, body) if body else None
    if pending is None or pending.model_version != model_version:
        return FollowApprovalResult("nothing_waits")
    is_answered = waiting.answer(
        pending.task_token, is_approved=request.status == APPROVED, by=REGISTRY
    )
    return FollowApprovalResult("answered" if is_answered else "nothing_waits")
