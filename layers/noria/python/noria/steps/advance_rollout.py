"""Give a challenger the next share of the requests, or say that it has passed every step."""

from dataclasses import dataclass
from datetime import timedelta

from noria.errors import AliasConflictError
from noria.inference.loading import verified_manifest
from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.records.alias import RolloutChange
from noria.spec.model import ProjectSpec
from noria.spec.operations import RolloutStep

_WAITING = RolloutStep(mode="shadow", fraction=1.0, bake_minutes=1)
_SLACK = timedelta(hours=1)  # for the functions between the waits


@dataclass(frozen=True)
class AdvanceRolloutRequest:
    """Which version goes to which step."""

    project: str
    run_id: str
    model_version: str
    step: int  # from 0
    expected_revision: int


@dataclass(frozen=True)
class AdvanceRolloutResult:
    """What the challenger sees now."""

    is_finished: bool  # no step is left
    step: int
    shown: str  # for people: "shadow of 100 %", "canary of 10 %"
    bake_seconds: int
    revision: int
    needs_approval: bool
    approval_seconds: int


def advance_rollout(
    request: AdvanceRolloutRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    clock: Clock,
) -> AdvanceRolloutResult:
    """Write the step into the alias record, in one transaction, once.

    After the last step, where an approval is needed, the challenger goes back to shadow.

    Raises
    ------
    AliasConflictError
        The alias was changed by another promotion, rollback or rollout meanwhile.
    ModelVersionNotFoundError, ModelCorruptError
        The challenger is not whole.
    """
    steps, needs_approval = spec.rollout.steps, spec.rollout.approval == "required"
    approval_seconds = round(spec.rollout.approval_hours * 3600)
    is_finished = request.step >= len(steps)
    if is_finished and not needs_approval:
        return AdvanceRolloutResult(
            True, request.step, "all steps passed", 0, request.expected_revision,
            needs_approval, approval_seconds,
        )  # fmt: skip
    project, version = request.project, request.model_version
    manifest = verified_manifest(artifacts, project, version) if request.step == 0 else None
    # While an approval is pending no step is checked, so the challenger answers nothing.
    step = _WAITING if is_finished else steps[request.step]
    shown = f"{step.mode} of {step.fraction:.0%}"
    record = aliases.apply(
        RolloutChange(
            project=request.project,
            promotion_id=f"rollout-{request.model_version}-{request.step}",
            model_version=request.model_version,
            expected_revision=request.expected_revision,
            mode=step.mode,
            fraction=step.fraction,
            reason=f"rollout step {request.step + 1} of {len(steps)}: {shown}",
            actor=request.run_id,
            at=clock.now().isoformat(),
            until=(clock.now() + _longest(spec, step, is_waiting=is_finished)).isoformat(),
            manifest=manifest,
        )
    )
    if record.challenger != request.model_version:
        raise AliasConflictError(
            f"{request.project}: the rollout of {request.model_version} was ended meanwhile",
            project=request.project,
            challenger=record.challenger,
        )
    return AdvanceRolloutResult(
        is_finished, request.step, shown, round(step.bake_minutes * 60), record.revision,
        needs_approval, approval_seconds,
    )  # fmt: skip


def _longest(spec: ProjectSpec, step: RolloutStep, *, is_waiting: bool) -> timedelta:
    """Return how long a step can take: its bake time with every wait, or a person's hours."""
    if is_waiting:
        return timedelta(hours=spec.rollout.approval_hours) + _SLACK
    return timedelta(minutes=step.bake_minutes) * (1 + spec.rollout.max_waits) + _SLACK
