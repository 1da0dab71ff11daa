"""What a training run leaves between its steps: trials, candidates, the chosen challenger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Params = Mapping[str, Any]  # hyperparameters by name: the algorithm's own, from the spec


@dataclass(frozen=True)
class Trial:
    """One parameter set and how it did."""

    params: Params
    state: Literal["complete", "pruned", "failed"]
    scores: tuple[float, ...]  # one per fold that was run
    reason: str | None = None  # why it failed

    @property
    def mean(self) -> float:
        """The mean score over the folds that were run."""
        return sum(self.scores) / len(self.scores)


@dataclass(frozen=True)
class TrainingSubject:
    """What a candidate was trained on: results of another subject are not used again."""

    dataset_version: str
    spec_sha256: str
    refit_of: str | None


@dataclass(frozen=True)
class FittedFeatures:
    """The features of a run, once they are whole (`features/fitted.json`)."""

    dataset_version: str
    spec_sha256: str
    n_folds: int
    n_features: int


@dataclass(frozen=True)
class SearchProgress:
    """The finished trials of a search (`search.json`), so that it goes on where it was cut off."""

    subject: TrainingSubject
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class CandidateCalibration:
    """How raw scores of a candidate become probabilities."""

    slope: float
    shift: tuple[float, ...]


@dataclass(frozen=True)
class CandidateDecision:
    """How probabilities of a candidate become a class, as the spec's rule learned it."""

    weights: tuple[float, ...]
    costs: tuple[tuple[float, ...], ...] = ()
    share: float | None = None
    known_shares: tuple[float, ...] = ()


LEAST_GAIN = 0.005  # of the log-loss: less is not worth another answer


@dataclass(frozen=True)
class PriorShiftCheck:
    """What correcting for other class shares does to out-of-fold answers (`[decision]`)."""

    n_rows: int
    kept: float  # log-loss of the probabilities as they are, mean over several class shares
    corrected: float  # of the corrected ones
    spares_unshifted: bool  # rows as they are lose nothing by it

    @property
    def helps(self) -> bool:
        """Whether batches and windows may be corrected: it gains, and harms nothing unshifted."""
        return self.spares_unshifted and self.corrected < (1.0 - LEAST_GAIN) * self.kept


@dataclass(frozen=True)
class CandidateResult:
    """One trained candidate (`result.json`)."""

    candidate: str
    algorithm: str
    metric: str
    cv_mean: float  # of the metric over the folds
    cv_scores: tuple[float, ...]
    params: Params  # that it was refitted with
    calibration: CandidateCalibration
    decision: CandidateDecision
    stopped_by: str  # "trials" or "time"
    trials: tuple[Trial, ...]
    subject: TrainingSubject
    code: Mapping[str, str] = field(default_factory=dict)  # versions of what trained
    # Model version whose calibration and decision alone were learned anew.
    recalibrated_from: str | None = None
    prior_shift: PriorShiftCheck | None = None  # where the spec asks for a correction
    # Every metric of the spec: means over the folds, and on the rows that it was fitted on.
    cv_metrics: Mapping[str, float] = field(default_factory=dict)
    training_metrics: Mapping[str, float] = field(default_factory=dict)
    # What a tree model says of its features: kind (gain, weight, cover) -> feature -> value.
    importances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """The candidates of a run and the one that goes on (`selection.json`)."""

    challenger: str
    metric: str
    candidates: tuple[CandidateResult, ...]
    failed: tuple[str, ...]  # candidates that could not be fitted
    errors: Mapping[str, str] = field(default_factory=dict)  # by failed candidate, where known
