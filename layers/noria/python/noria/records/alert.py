"""Alerts: what happened, how serious it is, what to do. Channels are elsewhere."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["info", "success", "warning", "error", "critical"]
_RANKS: Mapping[str, int] = {"info": 0, "success": 0, "warning": 1, "error": 2, "critical": 3}


@dataclass(frozen=True)
class Event:
    """A kind of event: its level, its title, and what to do about it."""

    level: Level
    title: str
    advice: str  # what the reader can do; may use {project}


EVENTS: Mapping[str, Event] = {
    "TrainingStarted": Event(
        "info", "retraining has started", "Nothing to do; the outcome follows."
    ),
    "ChallengerPromoted": Event(
        "success", "a new champion serves", "See its report. To go back: noria rollback {project}"
    ),
    "RolloutStarted": Event(
        "info",
        "a rollout has started",
        "Nothing to do; it is reverted automatically if it fails a check.",
    ),
    "ChampionKept": Event(
        "warning",
        "the challenger is not significantly better",
        "The champion stays. More labelled rows give more certainty.",
    ),
    "ChallengerRefused": Event(
        "warning",
        "the challenger was refused",
        "The champion stays. The report says which rule failed.",
    ),
    "DatasetRejected": Event(
        "error", "the rows cannot be trained on", "Read the report, mend the file, upload it again."
    ),
    "RunFailed": Event(
        "critical",
        "a run failed",
        "The champion is unchanged. Start it again with the same input once the cause is gone.",
    ),
    "RunStopped": Event(
        "warning",
        "a run was stopped",
        "Nothing to do if you stopped it. Otherwise start it again with the same input.",
    ),
    "BatchRejected": Event(
        "error", "a file could not be scored", "Read the report, mend the file, upload it again."
    ),
    "BatchHeld": Event(
        "warning",
        "the results of a file are held back",
        "Read the report. To publish them all the same: noria release {project} JOB",
    ),
    "BatchDrifted": Event(
        "warning",
        "the rows of a file differ from training",
        "See the report. Labelled rows in the inbox let the model train again.",
    ),
    "BatchCancelled": Event("info", "a batch was cancelled", "Nothing to do."),
    "BatchRowsRefused": Event(
        "warning",
        "many rows of a file were refused",
        "The other rows have their results. Read the reasons, mend the refused rows, send them.",
    ),
    "BatchCompleted": Event("info", "a file was scored", "Nothing to do; the results are there."),
    "LabelsRejected": Event(
        "error", "a file of labels could not be read", "Mend the file, upload it again."
    ),
    "LabelsRefused": Event(
        "warning",
        "rows of a file of labels were refused",
        "The other labels are filed. Read the reasons, mend the refused rows, send them.",
    ),
    "ModelUnhealthy": Event(
        "warning",
        "the model has degraded or its data have drifted",
        "See the report: noria drift {project}. Labelled rows in the inbox let it train again.",
    ),
    "CalibrationDegraded": Event(
        "warning",
        "the model's probabilities are no longer true",
        "Its ranking holds. Labelled rows in the inbox let Noria learn the probabilities anew: "
        "noria train {project} FILE --recalibrate",
    ),
    "ModelSuspected": Event(
        "warning",
        "a suspicion of drift has waited for long",
        "Too few new rows came to say more. See the report: noria drift {project}.",
    ),
    "ServiceDegraded": Event(
        "error",
        "requests fail, or are answered late",
        "See the report and the log group of predict; to serve what served before: "
        "noria rollback {project}",
    ),
    "ModelHealthy": Event("success", "the model is healthy again", "Nothing to do."),
    "ApprovalNeeded": Event(
        "warning",
        "a challenger waits for your approval",
        "noria approve {project} (or: noria approve {project} --reject)",
    ),
    "RolloutReverted": Event(
        "error",
        "the rollout was reverted",
        "The champion answers all requests. The reason says what the challenger did.",
    ),
    "ChampionTakenBack": Event(
        "error",
        "the new champion was taken back",
        "The champion before serves again. See what the labels say: noria performance {project}",
    ),
    "ChampionNotTakenBack": Event(
        "critical",
        "a champion that is worse than the one before still serves",
        "It could not be taken back. Look at the run, then: noria rollback {project}",
    ),
    "TestAlert": Event("info", "this is a test", "Nothing; whoever reads this is reached."),
    "ApprovalExpired": Event(
        "warning", "the approval has expired", "The champion stays: noria promote {project} VERSION"
    ),
}


@dataclass(frozen=True)
class Alert:
    """One message for people."""

    alert_id: str  # the same id is shown once per channel
    project: str
    event: str  # key of `EVENTS`
    level: Level
    title: str
    text: str  # what happened and how sure we are
    advice: str  # what to do
    links: tuple[tuple[str, str], ...]  # (label, place)
    at: str  # UTC, ISO 8601
    n_suppressed: int = 0  # earlier alerts of the hour that the cap held back

    def to_dict(self) -> dict[str, Any]:
        """Return the alert as JSON data."""
        return asdict(self)

    def subject(self) -> str:
        """Return one line of at most 100 ASCII characters, which e-mail subjects must be."""
        line = f"[Noria {self.level.upper()}] {self.project}: {self.title}"
        return line.encode("ascii", "replace").decode()[:100]

    def plain(self) -> str:
        """Return the whole message as text."""
        lines = [f"{self.project}: {self.title}", "", self.text, "", f"What to do: {self.advice}"]
        lines += [f"{label}: {place}" for label, place in self.links]
        if self.n_suppressed:
            lines.append(f"({self.n_suppressed} more alerts of this hour were not sent)")
        return "\n".join(lines)


def alert_from_dict(data: Mapping[str, Any]) -> Alert:
    """Return the alert that `to_dict` wrote."""
    return Alert(**{**data, "links": tuple((label, place) for label, place in data["links"])})


def make_alert(
    alert_id: str, project: str, event: str, text: str, *, links: Mapping[str, str], at: str
) -> Alert:
    """Return the alert of an event; KeyError for an event there is not."""
    kind = EVENTS[event]
    return Alert(
        alert_id=alert_id,
        project=project,
        event=event,
        level=kind.level,
        title=kind.title,
        text=text,
        advice=kind.advice.format(project=project),
        links=tuple(links.items()),
        at=at,
    )


def is_loud_enough(level: str, least: str) -> bool:
    """Return whether a level is at or above another; "info" and "success" are equal."""
    return _RANKS[level] >= _RANKS[least]
