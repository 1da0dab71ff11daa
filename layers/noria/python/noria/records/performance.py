"""How good a champion is: measured on labels, or estimated without them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from noria.records.probation import Probation

CALIBRATION = "calibration_error"  # the metric with a remedy of its own
# "untrusted": an estimate without labels, of inputs that lie outside training.
PerformanceVerdict = Literal["good", "degraded", "insufficient_data", "untrusted"]


@dataclass(frozen=True)
class Performance:
    """A metric of some rows with its interval, beside what it was out of fold."""

    metric: str
    value: float
    low: float  # of an interval for the value on rows as many as these
    high: float
    reference: float  # on labels: the model itself on its test rows; of estimates: out of fold
    n_rows: int
    is_estimated: bool  # without labels
    confidence: float = 0.95  # of the interval; of several that are judged, corrected
    is_degraded: bool = False
    n_reference: int = 0  # rows of the reference; 0: not known, it counts as exact
    broken_bound: float | None = None  # of monitoring.bounds, that it surely keeps no longer


@dataclass(frozen=True)
class ClassShares:
    """How frequent classes are among the answers of the window, estimated without labels."""

    n_rows: int  # the newest answers, that were looked at
    training: Mapping[str, float]  # share of each class
    estimated: Mapping[str, float]
    p_value: float  # of "as in training"


@dataclass(frozen=True)
class JobPerformance:
    """How good the answers of a batch job were, by the labels that came (`performance.json`)."""

    job_id: str
    filename: str
    model_version: str
    n_labels: int
    realised: Mapping[str, Performance]  # empty: fewer labels than monitoring.min_labels


@dataclass(frozen=True)
class LastAnswer:
    """One of the newest answers to requests, without what it was asked and by whom."""

    at: str  # UTC, ISO 8601
    prediction: str | float
    confidence: float | None  # of a classification
    latency_ms: float | None


@dataclass(frozen=True)
class PerformanceReport:
    """One performance check of one champion (`performance.json`)."""

    project: str
    model_version: str
    at: str  # UTC, ISO 8601
    primary_metric: str
    n_labels: int
    n_unknown_labels: int  # of classes that the model does not know
    n_rows: int
    realised: Mapping[str, Performance]
    estimated: Mapping[str, Performance]
    verdict: PerformanceVerdict  # on labels
    estimated_verdict: PerformanceVerdict
    # On the labels of answers that were given in the drift check's long window, where they are
    # enough and others came too: a collapse of the last day is not to hide among earlier labels.
    recent: Mapping[str, Performance] = field(default_factory=dict)
    n_recent_labels: int = 0
    # Labels rule out a drop above monitoring.max_drop, enough of them on recent answers.
    is_surely_good: bool = False
    has_collapsed: bool = False  # a metric on labels has dropped by far more than is allowed
    class_shares: ClassShares | None = None  # of a classification with enough answers
    n_unmatched_labels: int = 0  # they belong to no answer, an hour after they came
    n_waiting_labels: int = 0  # they came later and have no answer yet
    worst: str | None = None  # metric that has dropped most, of those that are degraded
    outside: tuple[str, ...] = ()  # columns with many values outside training
    jobs: tuple[JobPerformance, ...] = ()  # batches that labels are of, oldest first
    changed_jobs: tuple[str, ...] = ()  # those that labels have come for since the last check
    probation: Probation | None = None  # of a new champion
    champion_since: str | None = None  # UTC, ISO 8601
    last_answers: tuple[LastAnswer, ...] = ()  # of the champion, the newest first

    def degraded(self) -> tuple[tuple[str, Performance], ...]:
        """Return each watched metric that is degraded, with the retraining trigger's name.

        A metric that is degraded on recent labels is told by those.
        """
        parts = (*self.realised.values(), *self.recent.values())
        measured = {part.metric: part for part in parts if part.is_degraded}
        found = [
            ("calibration" if name == CALIBRATION else "performance", part)
            for name, part in measured.items()
        ]
        estimated = [part for part in self.estimated.values() if part.is_degraded]
        return (*found, *(("estimated_performance", part) for part in estimated))
