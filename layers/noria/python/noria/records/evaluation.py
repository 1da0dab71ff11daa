"""What a run's evaluation found: metrics, comparisons on the same rows, slices, business value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

GateOutcome = Literal["promote", "keep_champion", "refuse_challenger"]


@dataclass(frozen=True)
class Comparison:
    """How much better the challenger is than another model, on the same rows."""

    metric: str
    challenger: float  # metric on all rows
    other: float  # metric on all rows
    improvement: float  # in the metric's unit, positive = challenger better
    low: float  # interval of the improvement
    high: float
    confidence: float  # of the interval, in (0, 1)
    n_rows: int


@dataclass(frozen=True)
class ClassShare:
    """How often a class is decided for, and how often it is true."""

    name: str
    predicted: float  # shares of the rows, in [0, 1]
    actual: float


@dataclass(frozen=True)
class DecisionCheck:
    """What the decisions on the test rows are worth, beside always the commonest class."""

    rule: str  # of the spec's decision.rule
    n_rows: int
    metric: str  # that decisions are judged by
    value: float
    commonest_value: float
    accuracy: float
    commonest_accuracy: float
    beyond: tuple[ClassShare, ...]  # classes decided for far more or less often than true

    @property
    def is_worse_than_commonest(self) -> bool:
        """Whether always the commonest class would be better on accuracy and on the metric.

        Accuracies that differ by less than a standard error are equal.
        """
        share = self.commonest_accuracy
        error = (share * (1.0 - share) / max(self.n_rows, 1)) ** 0.5
        return self.accuracy < share - error and self.value < self.commonest_value

    @property
    def is_degenerate(self) -> bool:
        """Whether the decisions are not worth serving."""
        return bool(self.beyond) or self.is_worse_than_commonest


@dataclass(frozen=True)
class Slice:
    """The primary metric on the rows of one level of a column."""

    column: str
    level: str
    n_rows: int
    score: float | None  # None: too few rows


@dataclass(frozen=True)
class SliceComparison:
    """How much better the challenger is than the champion on the rows of one level."""

    column: str
    level: str
    n_rows: int
    improvement: float  # of the primary metric, in its unit
    low: float  # of its interval, corrected for the number of slices
    high: float


@dataclass(frozen=True)
class CalibrationCheck:
    """How far the challenger's confidence is from how often it is right."""

    error: float  # expected calibration error, in [0, 1]
    by_chance: float  # what a perfectly calibrated model stays below in 95 of 100 such samples
    champion_error: float | None = None  # on the rows of the comparison
    challenger_error: float | None = None  # on the same rows


@dataclass(frozen=True)
class BandTotals:
    """What the rows of one band are worth."""

    n_rows: int
    total: float
    mean: float
    max: float
    band: str | None
    positive_fraction: float  # of the rows that turned out positive, in [0, 1]


@dataclass(frozen=True)
class BusinessTotals:
    """What many rows are worth together, and by band."""

    n_rows: int  # with a value
    total: float
    mean: float
    max: float
    bands: tuple[BandTotals, ...]  # the most valuable first


@dataclass(frozen=True)
class Evaluation:
    """The test rows, scored by challenger, baseline and champion."""

    project: str
    dataset_version: str
    challenger_sha256: str  # of the challenger's bundle
    n_test: int
    metrics: Mapping[str, float]  # of the challenger on all test rows
    against_baseline: Comparison
    slices: tuple[Slice, ...]
    business_value: BusinessTotals | None
    alias_revision: int  # what the comparison was made against
    champion: str | None
    n_unseen: int = 0  # test rows that the champion was not trained on
    against_champion: Comparison | None = None  # on those; None: no comparison could be made
    # Of a recalibrated champion, which is compared by its log-loss: the primary metric beside it.
    primary_against_champion: Comparison | None = None
    champion_fault: str | None = None  # why the champion could not be loaded
    decision: DecisionCheck | None = None  # None: a regression decides nothing
    # What the spec's rule decided, where it was degenerate and the most probable class took over.
    replaced_decision: DecisionCheck | None = None
    calibration: CalibrationCheck | None = None  # None: a regression
    slices_against_champion: tuple[SliceComparison, ...] = ()  # those of enough rows
    new_columns: tuple[str, ...] = ()  # not optional, and the champion does not read them


@dataclass(frozen=True)
class GateReason:
    """One rule of the promotion gate and what it found."""

    code: str
    passed: bool
    text: str


@dataclass(frozen=True)
class PromotionDecision:
    """What becomes of a challenger (`decision.json`)."""

    outcome: GateOutcome
    reasons: tuple[GateReason, ...]

    def summary(self) -> str:
        """Return the reasons that decided, in one line."""
        codes = {r.code for r in self.reasons if r.passed == (self.outcome == "promote")}
        # The interval belongs to every comparison, whichever rule decided.
        shown = [r.text for r in self.reasons if r.code in codes | {"improves_surely"}]
        return "; ".join(shown)


@dataclass(frozen=True)
class Lineage:
    """Where a model version comes from."""

    dataset_version: str
    spec_sha256: str
    code: Mapping[str, str]  # versions of Noria and of the libraries that trained
    parent_champion: str | None
    run_id: str
    execution_id: str  # of the state machine
    backend: str
    candidate: str
    # The version whose evaluation this one serves on: the same procedure on fewer rows. None: this
    # one was evaluated itself.
    evaluated_as: str | None = None
    recalibrated_from: str | None = None  # the version whose probabilities were learned anew


@dataclass(frozen=True)
class VersionFacts:
    """What a manifest says of a model version beside its files."""

    created_at: str = ""  # UTC, ISO 8601
    lineage: Lineage | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # on the test rows


@dataclass(frozen=True)
class Manifest:
    """A registered model version: it exists once this is written (`manifest.json`)."""

    project: str
    model_version: str
    files: Mapping[str, str]  # SHA-256 by name
    created_at: str = ""  # UTC, ISO 8601
    lineage: Lineage | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # on the test rows
