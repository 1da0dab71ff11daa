"""Keep the token of a rollout that waits for an approval."""

from dataclasses import dataclass
from datetime import timedelta

from noria.ports import ArtifactStore, Clock
from noria.storage.hashing import canonical_json
from noria.storage.keys import APPROVAL, monitoring_key


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
    request: RequestApprovalRequest, *, artifacts: ArtifactStore, clock: Clock
) -> RequestApprovalResult:
    """Write `monitoring/<project>/approval.json`, which `noria approve` answers."""
    expires_at = (clock.now() + timedelta(seconds=request.seconds)).isoformat()
    body = canonical_json(
        {
            "model_version": request.model_version,
            "run_id": request.run_id,
            "task_token": request.task_token,
            "expires_at": expires_at,
        }
    )
    artifacts.put(monitoring_key(request.project, APPROVAL), body)
    return RequestApprovalResult(expires_at)
