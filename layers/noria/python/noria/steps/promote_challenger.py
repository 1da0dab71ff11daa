"""Make the challenger the champion, in one transaction, unless the alias moved meanwhile."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from noria.errors import AliasConflictError
from noria.inference.loading import verified_manifest
from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.records.alias import AliasRecord, Promotion, RolloutChange
from noria.spec.model import ProjectSpec


@dataclass(frozen=True)
class PromoteChallengerRequest:
    """Which version, and the alias revision its comparison was made against."""

    project: str
    run_id: str
    model_version: str
    expected_revision: int
    reason: str


@dataclass(frozen=True)
class PromoteChallengerResult:
    """The new champion and the one it replaced."""

    champion: str
    replaced: str | None
    revision: int


def promote_challenger(
    request: PromoteChallengerRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    clock: Clock,
) -> PromoteChallengerResult:
    """Move the champion alias to a version whose files are all intact, and begin its probation.

    The promotion id is the version's, so a retried step promotes once.

    Raises
    ------
    AliasConflictError
        The champion changed since the evaluation, which therefore says nothing about the new one,
        or it changed again after this very promotion.
    ModelVersionNotFoundError, ModelCorruptError
    """
    manifest = verified_manifest(artifacts, request.project, request.model_version)
    record = aliases.apply(
        Promotion(
            project=request.project,
            promotion_id=f"training-{request.model_version}",
            model_version=request.model_version,
            expected_revision=request.expected_revision,
            kind="training",
            reason=request.reason,
            actor=request.run_id,
            at=clock.now().isoformat(),
            manifest=manifest,
        )
    )
    if record.champion != request.model_version:
        raise AliasConflictError(
            f"{request.project}: {request.model_version} was promoted earlier and has since been "
            f"replaced by {record.champion}",
            project=request.project,
            champion=record.champion,
        )
    if spec.rollout.probation_hours and record.previous_champion:
        with suppress(AliasConflictError):  # it serves; who has moved the alias since decides
            record = aliases.apply(_probation(spec, record, request.run_id))
    return PromoteChallengerResult(
        champion=request.model_version,
        replaced=record.previous_champion,
        revision=record.revision,
    )


def _probation(spec: ProjectSpec, record: AliasRecord, actor: str) -> RolloutChange:
    """Return what lets the champion before answer beside the new one, shown to nobody."""
    start = datetime.fromisoformat(str(record.promoted_at))
    return RolloutChange(
        project=record.project,
        promotion_id=f"probation-of-{record.champion}",
        model_version=str(record.previous_champion),
        expected_revision=record.revision,
        mode="shadow",
        fraction=1.0,
        reason=f"probation of {record.champion}: the champion before answers beside it, unseen",
        actor=actor,
        at=start.isoformat(),
        until=(start + timedelta(hours=spec.rollout.probation_hours)).isoformat(),
        manifest=record.previous_manifest,
    )
