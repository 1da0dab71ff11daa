"""Whether to retrain: reasons, and what speaks against it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from noria.records.drift import DriftReport
from noria.records.performance import PerformanceReport
from noria.records.retraining import RetrainingKind, RetrainingReason
from noria.reporting.words import finding_text, performance_text
from noria.spec.catalog import TRIGGERS
from noria.spec.model import ProjectSpec

NO_NEW_ROWS = "no_new_rows"  # the obstacle that only a file of new rows removes
_MOST_DOUBLINGS = 3  # of the cool-down, one for each training that promoted nothing
_FINDINGS = TRIGGERS - {"age", "new_rows", "new_file", "growth"}  # of a check
# What labels of the same rows can answer: whether it matters.
_OF_INPUTS = ("data_drift", "prediction_drift", "confidence")


@dataclass(frozen=True)
class Situation:
    """What the decision looks at."""

    at: datetime
    drift: DriftReport
    performance: PerformanceReport
    trained_at: datetime  # of the champion
    new_files: Sequence[str]  # inbox keys that no training has seen, of rows since `changed_at`
    changed_at: datetime | None  # when what is confirmed now was first seen; None: nothing is
    n_new_rows: int
    n_trained_rows: int  # of the champion
    attempts: Sequence[datetime]  # earlier automatic trainings
    n_in_vain: int  # of them since the promotion: they ended and promoted nothing
    is_rollout_running: bool


def triggers(spec: ProjectSpec, now: Situation) -> list[RetrainingReason]:
    """Return every reason to train again that the spec listens to, whatever stands against it."""
    return [reason for reason in _reasons(spec, now) if reason.code in spec.retraining.on]


def _reasons(spec: ProjectSpec, now: Situation) -> Iterator[RetrainingReason]:
    for finding in now.drift.confirmed:
        is_of_labelled = now.drift.job_id is None  # labels are of requests, not of a file's rows
        if finding.code in _OF_INPUTS and is_of_labelled and now.performance.is_surely_good:
            continue
        text = f"{finding_text(finding)}, in {finding.n_windows} window(s)"
        yield RetrainingReason(finding.code, text)
    for code, performance in now.performance.degraded():
        yield RetrainingReason(code, performance_text(performance))
    age = (now.at - now.trained_at) / timedelta(days=1)
    if age > spec.retraining.max_age_days:
        limit = spec.retraining.max_age_days
        yield RetrainingReason("age", f"the champion is {age:.1f} days old, above {limit:g}")
    if now.n_new_rows >= spec.retraining.min_new_rows:
        yield RetrainingReason("new_rows", f"{now.n_new_rows} new rows in the inbox")
    if now.n_new_rows >= now.n_trained_rows:
        text = f"{now.n_new_rows} new rows in the inbox, as many as the champion was trained on"
        yield RetrainingReason("growth", text)
    if now.new_files:
        names = ", ".join(key.rpartition("/")[2] for key in now.new_files[:3])
        yield RetrainingReason(
            "new_file", f"{len(now.new_files)} new file(s) in the inbox: {names}"
        )


def kind(spec: ProjectSpec, reasons: Sequence[RetrainingReason]) -> RetrainingKind:
    """Return how to train: a calibration that alone is degraded needs no new model."""
    if spec.retraining.how == "refit":
        return "refit"
    codes = {reason.code for reason in reasons}
    is_of_calibration = codes == {"calibration"} and spec.can_recalibrate
    return "recalibrate" if is_of_calibration and spec.retraining.how == "auto" else "train"


def obstacles(
    spec: ProjectSpec, now: Situation, reasons: Sequence[RetrainingReason]
) -> list[RetrainingReason]:
    """Return what stands against training again now; nothing of it stops a forced training.

    The cool-down doubles with each training since the promotion that promoted nothing, up to
    eight times, where findings of a check and the model's age are the only reasons and labels
    show no collapse.
    """
    return [*_obstacles(spec, now, reasons)]


def _obstacles(
    spec: ProjectSpec, now: Situation, reasons: Sequence[RetrainingReason]
) -> Iterator[RetrainingReason]:
    if not now.new_files:
        yield RetrainingReason(
            NO_NEW_ROWS,
            "no labelled rows have come "
            + (
                f"from after {now.changed_at:%Y-%m-%d %H:%M} (rows of a new file may be "
                f"{spec.retraining.row_age_hours:g} h old)"
                if now.changed_at
                else "since the training"
            )
            + "; put a file of them into the inbox",
        )
    probation = now.performance.probation
    if probation is not None and probation.is_worse:
        yield RetrainingReason(
            "taken_back", "the champion is taken back; the next check decides about the one before"
        )
    if now.is_rollout_running:
        yield RetrainingReason("rollout_running", "a challenger is being rolled out")
    in_vain = now.n_in_vain
    others = {reason.code for reason in reasons} - _FINDINGS - {"age"}  # it only ever grows
    if now.performance.has_collapsed or others:
        in_vain = 0
    hours = spec.retraining.cool_down_hours * 2 ** min(in_vain, _MOST_DOUBLINGS)
    cool_down = timedelta(hours=hours)
    if now.attempts and now.at - max(now.attempts) < cool_down:
        until = (max(now.attempts) + cool_down).isoformat(timespec="minutes")
        why = f", {in_vain} time(s) in vain since the promotion" if in_vain else ""
        yield RetrainingReason(
            "cool_down", f"trained at {max(now.attempts):%Y-%m-%d %H:%M}{why}; not before {until}"
        )
    today = sum(attempt.date() == now.at.date() for attempt in now.attempts)
    if today >= spec.retraining.max_per_day:
        yield RetrainingReason("daily_cap", f"{today} automatic trainings today")
