"""Take back a champion that is worse than the one before: one write, and that one serves again."""

from dataclasses import dataclass

from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.promotion.by_hand import ByHand, promotion_of


@dataclass(frozen=True)
class EndProbationRequest:
    """Which champion, by which check, and why."""

    project: str
    check_id: str
    model_version: str
    reason: str


@dataclass(frozen=True)
class EndProbationResult:
    """Who serves."""

    champion: str | None
    was_taken_back: bool  # False: the champion had changed already


def end_probation(
    request: EndProbationRequest,
    *,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    clock: Clock,
) -> EndProbationResult:
    """Make the champion before champion again; a version is taken back once, whoever retries.

    Raises
    ------
    AliasConflictError
        The alias moved between reading and writing; a second try finds out how.
    ModelVersionNotFoundError, ModelCorruptError
        The champion before is not whole: the new one stays.
    """
    record = aliases.read(request.project)
    promotion_id = f"probation-{request.model_version}"
    if record.champion != request.model_version or record.previous_champion is None:
        changes = aliases.history(request.project)
        was_taken_back = any(change.promotion_id == promotion_id for change in changes)
        return EndProbationResult(record.champion, was_taken_back)
    by = ByHand(request.check_id, request.reason)
    rollback = promotion_of(
        record, record.previous_champion, "rollback", by, artifacts=artifacts, clock=clock
    )
    after = aliases.apply(rollback._replace(promotion_id=promotion_id))
    return EndProbationResult(after.champion, was_taken_back=True)
