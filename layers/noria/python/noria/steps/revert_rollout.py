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
    # What the machine's next step would be written on; of executions of earlier code 0.
    expected_revision: int = 0


@dataclass(frozen=True)
class RevertRolloutResult:
    """Who serves."""

    champion: str | None
    was_reverted: bool  # False: the rollout had ended already, or never begun


def revert_rollout(
    request: RevertRolloutRequest, *, aliases: ModelAliases, clock: Clock
) -> RevertRolloutResult:
    """End the rollout of this challenger; that of another one stays, unless a step may yet end it.

    A step that was given up may commit yet: its challenger would serve, watched by no machine.
    Where the record has moved since, that step is refused. Where it has not, the record moves on
    here; a rollout that runs in it ends, as it would have by that step.

    Raises
    ------
    AliasConflictError
        The record moved between reading and writing; a second try finds out how.
    """
    record = aliases.read(request.project)
    is_running = record.challenger == request.model_version
    if not is_running and record.revision != request.expected_revision:
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
    return RevertRolloutResult(after.champion, was_reverted=is_running)
