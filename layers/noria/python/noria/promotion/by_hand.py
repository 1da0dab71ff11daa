"""Promotions that a person decides: of a registered version, or back to an earlier champion."""

from typing import NamedTuple

from noria.errors import ModelCorruptError, ModelVersionNotFoundError
from noria.inference.loading import verified_manifest
from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.records.alias import AliasRecord, Promotion, PromotionKind


class ByHand(NamedTuple):
    """Who moves the champion, and why: both are kept in the history."""

    actor: str
    reason: str


def promote_by_hand(
    project: str,
    model_version: str,
    by: ByHand,
    *,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    clock: Clock,
) -> AliasRecord:
    """Make a registered version champion, whatever serves.

    Raises
    ------
    ModelVersionNotFoundError, ModelCorruptError
        There is no such version, or it is not whole.
    AliasConflictError
        The alias has moved meanwhile.
    """
    seen = aliases.read(project)
    return aliases.apply(
        promotion_of(seen, model_version, "manual", by, artifacts=artifacts, clock=clock)
    )


def roll_back(
    project: str,
    to: str | None,
    by: ByHand,
    *,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    clock: Clock,
) -> AliasRecord:
    """Return to an earlier version, by default to the previous champion; errors as above."""
    # The one reading that the version is taken from is what the alias must still be.
    seen = aliases.read(project)
    version = to or seen.previous_champion
    if version is None:
        raise ModelVersionNotFoundError(f"project '{project}' has no earlier champion")
    return aliases.apply(
        promotion_of(seen, version, "rollback", by, artifacts=artifacts, clock=clock)
    )


def promotion_of(
    seen: AliasRecord,
    version: str,
    kind: PromotionKind,
    by: ByHand,
    *,
    artifacts: ArtifactStore,
    clock: Clock,
) -> Promotion:
    """Return the promotion of a whole version, void if the alias moves after it was seen."""
    manifest = verified_manifest(artifacts, seen.project, version)
    if version == seen.previous_champion and seen.previous_manifest not in (None, manifest):
        raise ModelCorruptError(f"{version} is not what served before: its manifest has changed")
    return Promotion(
        project=seen.project,
        promotion_id=f"{kind}-{version}-{seen.revision}",
        model_version=version,
        expected_revision=seen.revision,
        kind=kind,
        reason=by.reason,
        actor=by.actor,
        at=clock.now().isoformat(),
        manifest=manifest,
    )
