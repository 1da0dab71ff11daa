"""The report of a training run, before it is drawn (`report.json`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from noria.records.codec import encode
from noria.records.dataset import ValidationReport
from noria.records.evaluation import Evaluation, PromotionDecision
from noria.records.training import Selection


@dataclass(frozen=True)
class ClassScores:
    """How well one class is found; None where there is nothing to divide by."""

    name: str
    n_rows: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """How often the model is right where it is about as sure."""

    confidence: float  # mean, in [0, 1]
    hit_fraction: float
    n_rows: int


@dataclass(frozen=True)
class Confusion:
    """How often each class was predicted for each true one."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]  # true by predicted


@dataclass(frozen=True)
class HeldOutPerformance:
    """What the challenger did on the test rows, beside its metrics."""

    confusion: Confusion | None = None  # classification
    classes: tuple[ClassScores, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    truth: tuple[float, ...] = ()  # regression; drawn, not stored
    predicted: tuple[float, ...] = ()


@dataclass(frozen=True)
class FeatureImportance:
    """The mean size of a feature's contributions."""

    feature: str
    mean_contribution: float


@dataclass(frozen=True)
class FeatureSwarm:
    """The contributions of one feature to single rows, with its values there."""

    feature: str
    contributions: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class PipelinePart:
    """One box of the fitted pipeline."""

    name: str
    what: str  # in a few words: columns that it reads, how many features it gives


@dataclass(frozen=True)
class PipelineStage:
    """The boxes of the pipeline that come at the same place, from the columns to the answer."""

    name: str
    parts: tuple[PipelinePart, ...]


@dataclass(frozen=True)
class TrainingReport:
    """One run, whole."""

    run_id: str
    evaluation: Evaluation
    decision: PromotionDecision
    selection: Selection
    performance: HeldOutPerformance
    importance: tuple[FeatureImportance, ...]  # the largest first
    n_explained: int  # rows that the importance is computed on
    scale: str  # what contributions are measured in
    profile: Mapping[str, Any]  # of the training rows, of `noria.reporting.profile`
    validation: ValidationReport
    lineage: Mapping[str, str | int]
    # By how much the primary metric gets worse when a column is shuffled among training rows.
    shuffled: Mapping[str, float] = field(default_factory=dict)
    pipeline: tuple[PipelineStage, ...] = ()
    swarms: tuple[FeatureSwarm, ...] = ()  # of the features that matter most; drawn, not stored

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON data; single rows of a regression stay in the picture."""
        shown = {**encode(self), **encode(self.evaluation)}
        del shown["evaluation"], shown["swarms"]
        performance = shown["performance"]
        for name in ("truth", "predicted"):
            del performance[name]
        return shown
