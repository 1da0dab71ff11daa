"""The alias record of a project and the promotions that move it: what the alias port speaks."""

from dataclasses import dataclass
from typing import Literal

PromotionKind = Literal["training", "manual", "rollback"]


@dataclass(frozen=True)
class AliasRecord:
    """Which model versions the aliases of one project point at."""

    project: str
    revision: int  # counts promotions; 0 = never promoted
    champion: str | None  # model version that serves
    previous_champion: str | None  # what a rollback returns to
    promoted_at: str | None  # UTC, ISO 8601


@dataclass(frozen=True)
class Promotion:
    """The request to make one model version champion."""

    project: str
    promotion_id: str  # the same id twice is one promotion
    model_version: str
    expected_revision: int  # the revision the decision was taken on
    kind: PromotionKind
    reason: str
    actor: str  # run id or person
    at: str  # UTC, ISO 8601


@dataclass(frozen=True)
class HistoryEntry:
    """One promotion that happened."""

    project: str
    revision: int
    model_version: str
    replaced: str | None  # champion before
    kind: PromotionKind
    reason: str
    actor: str
    at: str  # UTC, ISO 8601
    promotion_id: str


def apply_promotion(record: AliasRecord, promotion: Promotion) -> tuple[AliasRecord, HistoryEntry]:
    """Return the record and the history row that follow from a promotion; no check, no I/O."""
    revision = record.revision + 1
    after = AliasRecord(
        project=record.project,
        revision=revision,
        champion=promotion.model_version,
        previous_champion=record.champion,
        promoted_at=promotion.at,
    )
    entry = HistoryEntry(
        project=record.project,
        revision=revision,
        model_version=promotion.model_version,
        replaced=record.champion,
        kind=promotion.kind,
        reason=promotion.reason,
        actor=promotion.actor,
        at=promotion.at,
        promotion_id=promotion.promotion_id,
    )
    return after, entry
