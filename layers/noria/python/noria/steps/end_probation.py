"""Take back a champion that is worse than the one before: one write, and that one serves again."""

from dataclasses import dataclass

from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.promotion.by_hand import ByHand, promotion_of


@dataclass(frozen=True)
class EndProbationRequest:
    """Who goes and who comes back, by which check, and why."""

    project: str
    check_id: str
    champion: str  # as it was judged
    previous: str
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
    """Make the champion before champion again, while the probation that was judged still holds.

    Any other change of the aliases has ended it: a person's, a rollout's. Whoever tries again
    finds the change done.

    Raises
    ------
    AliasConflictError
        The alias moved between reading and writing; a second try finds out how.
    ModelVersionNotFoundError, ModelCorruptError
        The champion before is not whole: the new one stays.
    """
    record = aliases.read(request.project)
    champion, previous = request.champion, request.previous
    if (record.champion, record.previous_champion) == (previous, champion):
        return EndProbationResult(previous, was_taken_back=True)
    if (record.champion, record.previous_champion) != (champion, previous):
        return EndProbationResult(record.champion, was_taken_back=False)
    if not record.has_probation:
        return EndProbationResult(record.champion, was_taken_back=False)
    by = ByHand(request.check_id, request.reason)
    rollback = promotion_of(record, previous, "rollback", by, artifacts=artifacts, clock=clock)
    after = aliases.apply(rollback._replace(promotion_id=f"probation-{champion}-{record.revision}"))
    return EndProbationResult(after.champion, was_taken_back=after.champion == previous)
