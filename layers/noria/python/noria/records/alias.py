"""The alias record of a project and the changes that move it: what the alias port speaks.

Named tuples, as all that predict imports: a cold start pays for every `dataclasses` class, and for
`dataclasses` itself.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from noria.errors import NoChampionError

PromotionKind = Literal["training", "manual", "rollback"]
RolloutMode = Literal["off", "shadow", "canary"]


class AliasRecord(NamedTuple):
    """Which model versions the aliases of one project point at."""

    project: str
    revision: int  # counts changes; 0 = never promoted
    champion: str | None  # model version that serves
    previous_champion: str | None  # what a rollback returns to
    promoted_at: str | None  # UTC, ISO 8601
    challenger: str | None = None  # model version on its way to champion
    rollout_mode: RolloutMode = "off"
    rollout_fraction: float = 0.0  # of the requests that the challenger sees, in [0, 1]
    rollout_started_at: str | None = None  # of this step; UTC, ISO 8601
    rollout_until: str | None = None  # after it the challenger gets nothing
    # SHA-256 of each version's manifest as it was verified; None in records of earlier code.
    champion_manifest: str | None = None
    previous_manifest: str | None = None
    challenger_manifest: str | None = None

    def require_champion(self) -> str:
        """Return the champion; NoChampionError where nothing has been promoted yet."""
        if self.champion is None:
            raise NoChampionError(
                f"project '{self.project}' has no champion yet; train one: noria train "
                f"{self.project}",
                project=self.project,
            )
        return self.champion

    def is_rolling_out(self, now: datetime) -> bool:
        """Return whether a rollout is running and its time is not over."""
        if self.rollout_mode == "off" or self.challenger is None:
            return False
        return self.rollout_until is None or now <= datetime.fromisoformat(self.rollout_until)

    @property
    def has_probation(self) -> bool:
        """Whether the champion was put on probation, and nothing has moved the aliases since."""
        is_shadow = self.rollout_mode == "shadow" and self.challenger is not None
        return is_shadow and self.challenger == self.previous_champion

    def is_on_probation(self, now: datetime) -> bool:
        """Return whether the champion before answers beside the champion, shown to nobody."""
        return self.has_probation and self.is_rolling_out(now)


class Promotion(NamedTuple):
    """The request to make one model version champion; it ends any rollout."""

    project: str
    promotion_id: str  # the same id twice is one promotion
    model_version: str
    expected_revision: int  # the revision the decision was taken on
    kind: PromotionKind
    reason: str
    actor: str  # run id or person
    at: str  # UTC, ISO 8601
    manifest: str | None = None  # SHA-256 of the version's manifest; None: not verified


class RolloutChange(NamedTuple):
    """The request to give a challenger some of the requests, or, with mode "off", none."""

    project: str
    promotion_id: str  # the same id twice is one change
    model_version: str  # the challenger
    expected_revision: int
    mode: RolloutMode
    fraction: float  # in [0, 1]
    reason: str
    actor: str
    at: str  # UTC, ISO 8601
    until: str | None = None  # UTC, ISO 8601: when the step ends by itself
    manifest: str | None = None  # SHA-256 of the challenger's manifest; None: as it was

    @property
    def kind(self) -> str:
        """What the history calls it: "shadow", "canary", or "reverted" where it ends."""
        return "reverted" if self.mode == "off" else self.mode


AliasChange = Promotion | RolloutChange


class HistoryEntry(NamedTuple):
    """One change that happened."""

    project: str
    revision: int
    model_version: str  # promoted, or rolled out
    replaced: str | None  # champion before
    kind: str  # of promotion or rollout
    reason: str
    actor: str
    at: str  # UTC, ISO 8601
    promotion_id: str


def apply_change(record: AliasRecord, change: AliasChange) -> tuple[AliasRecord, HistoryEntry]:
    """Return the record and the history row that follow from a change; no check, no I/O."""
    revision = record.revision + 1
    if isinstance(change, Promotion):
        serves = change.model_version == record.champion  # then it ends the rollout, and no more
        after = AliasRecord(
            project=record.project,
            revision=revision,
            champion=change.model_version,
            previous_champion=record.previous_champion if serves else record.champion,
            promoted_at=record.promoted_at if serves else change.at,
            champion_manifest=change.manifest,
            previous_manifest=record.previous_manifest if serves else record.champion_manifest,
        )
    else:
        is_off = change.mode == "off"
        is_same = record.challenger == change.model_version
        known = record.challenger_manifest if is_same else None
        after = record._replace(
            revision=revision,
            challenger=None if is_off else change.model_version,
            rollout_mode=change.mode,
            rollout_fraction=0.0 if is_off else change.fraction,
            rollout_started_at=None if is_off else change.at,
            rollout_until=None if is_off else change.until,
            challenger_manifest=None if is_off else change.manifest or known,
        )
    entry = HistoryEntry(
        project=record.project,
        revision=revision,
        model_version=change.model_version,
        replaced=record.champion,
        kind=change.kind,
        reason=change.reason,
        actor=change.actor,
        at=change.at,
        promotion_id=change.promotion_id,
    )
    return after, entry
