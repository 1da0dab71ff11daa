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
    was_reverted: bool  # False: the rollout had ended already, or never begun


def revert_rollout(
    request: RevertRolloutRequest, *, aliases: ModelAliases, clock: Clock
) -> RevertRolloutResult:
    """End the rollout of this challenger; that of another one stays.

    Where none is running, the step that was to begin it may have been given up and commit yet:
    its challenger would serve, watched by no machine. So the record moves on all the same, and
    what was decided on its old revision is refused.

    Raises
    ------
    AliasConflictError
        The record moved between reading and writing; a second try finds out how.
    """
    record = aliases.read(request.project)
    is_running = record.challenger == request.model_version
    if not is_running and (record.challenger or record.champion == request.model_version):
        return RevertRolloutResult(record.champion, was_reverted=False)
    at = str(record.revision) if is_running else f"{request.run_id}-unstarted"
    after = aliases.apply(
        RolloutChange(
            project=request.project,
            promotion_id=f"revert-{request.model_version}-{at}",
            model_version=request.model_version,
            expected_revision=record.revision,
            mode="off",
            fraction=0.0,
            reason=request.reason,
            actor=request.run_id,
            at=clock.now().isoformat(),
        )
    )
    return RevertRolloutResult(after.champion, was_reverted=is_running)
