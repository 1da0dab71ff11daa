"""Take a challenger back: one write, and the champion answers everything."""

from dataclasses import dataclass

from noria.ports import Clock, ModelAliases
from noria.records.alias import RolloutChange


@dataclass(frozen=True)
class RevertRolloutRequest:
    """Which challenger, and why."""

    project: str
    run_id: str
    model_version: str
    reason: str


@dataclass(frozen=True)
class RevertRolloutResult:
    """Who serves."""

    champion: str | None
    was_reverted: bool  # False: the rollout had ended already


def revert_rollout(
    request: RevertRolloutRequest, *, aliases: ModelAliases, clock: Clock
) -> RevertRolloutResult:
    """End the rollout of this challenger; of another one, or of none, change nothing.

    Raises
    ------
    AliasConflictError
        The record moved between reading and writing; a second try finds out how.
    """
    record = aliases.read(request.project)
    if record.challenger != request.model_version:
        return RevertRolloutResult(record.champion, was_reverted=False)
    after = aliases.apply(
        RolloutChange(
            project=request.project,
            promotion_id=f"revert-{request.model_version}-{record.revision}",
            model_version=request.model_version,
            expected_revision=record.revision,
            mode="off",
            fraction=0.0,
            reason=request.reason,
            actor=request.run_id,
            at=clock.now().isoformat(),
        )
    )
    return RevertRolloutResult(after.champion, was_reverted=True)
