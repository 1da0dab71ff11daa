"""Whether a champion is trained again, as a check decides it."""

from dataclasses import dataclass
from typing import Literal

# Every candidate anew, the champion's parameters on new rows, or its probabilities alone.
RetrainingKind = Literal["train", "refit", "recalibrate"]


@dataclass(frozen=True)
class RetrainingReason:
    """Why to train again, or why not now."""

    code: str
    text: str


@dataclass(frozen=True)
class RetrainingDecision:
    """The decision of one check (`retraining.json`)."""

    retrain: bool
    codes: tuple[str, ...]  # why, or why not
    reasons: tuple[RetrainingReason, ...]
    against: tuple[RetrainingReason, ...]
    summary: str
    execution_name: str  # of the training: a second one of this cool-down and champion is refused
    run_id: str
    source_keys: tuple[str, ...]
    retraining_key: str
    how: RetrainingKind = "train"


@dataclass(frozen=True)
class TrainingAttempt:
    """An automatic training that a check decided on."""

    check_id: str
    at: str  # UTC, ISO 8601
    source_keys: tuple[str, ...]  # the files that were new
    # It came to a decision or refused its rows. What says so expires with the run's files.
    has_ended: bool = False
