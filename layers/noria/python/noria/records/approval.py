"""The approval that a rollout waits for."""

from dataclasses import dataclass

APPROVED = "Approved"
DECIDED = frozenset({APPROVED, "Rejected"})  # statuses of a package that somebody has looked at
REGISTRY = "SageMaker's registry"  # who answers, where it was decided there


@dataclass(frozen=True)
class PendingApproval:
    """Which version waits, and the token that lets its execution go on."""

    model_version: str
    run_id: str
    task_token: str
    expires_at: str  # UTC, ISO 8601
