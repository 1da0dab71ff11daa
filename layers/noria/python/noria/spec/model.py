"""The project spec as types: every key is listed here, and every key is read.

Cross-references (columns, algorithms, metrics) are checked by `noria.spec.loader`; features and
derived columns are in `noria.spec.features`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from noria.spec.features import Derivation, Feature, derived_from
from noria.spec.operations import (
    AlertsSection,
    BatchSection,
    GateSection,
    LimitsSection,
    MonitoringSection,
    RetrainingSection,
    RolloutSection,
)
from noria.spec.section import ColumnName, ColumnType, Fraction, Name, Section, Task


class ProjectSection(Section):
    """Who the project is."""

    name: Name
    task: Task
    description: str = Field(min_length=1)
    owner: str = ""  # who to ask about the rows; named in validation reports


class ColumnSpec(Section):
    """One input column: its type and what a request may send."""

    type: ColumnType
    aliases: tuple[str, ...] = ()  # other names it has in source files
    optional: bool = False  # source files may lack it, and gaps in it pass without a word
    required: bool = False  # its key must be in a request; a file must have the column
    missing: Literal["impute", "refuse"] = "impute"  # a row to answer that has no value for it
    min: float | None = None  # numbers, inclusive
    max: float | None = None
    max_length: int = Field(default=50_000, ge=1)  # characters, text and category
    pii: bool | Literal["drop"] = False  # masked in the prediction log, or not in it at all

    @model_validator(mode="after")
    def _bounds_belong_to_numbers(self) -> "ColumnSpec":
        if self.type != "number" and (self.min is not None or self.max is not None):
            raise ValueError("min and max belong to columns of type 'number'")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class JoinSection(Section):
    """A table whose columns join each row by a key; a row without a match keeps gaps."""

    files: str  # pattern of the table's file names, as in "*user*"
    key: str  # column of the table and of the rows
    columns: dict[ColumnName, str] = Field(min_length=1)  # name in the rows = name in the table


class FilterSection(Section):
    """Keep only rows whose number lies in a range, inclusive; the others are counted, not lost."""

    column: str
    min: float | None = None
    max: float | None = None


class OutlierSection(Section):
    """Leave rows with extreme numbers out of training; test rows are never touched."""

    method: Literal["iqr", "zscore"]
    threshold: float = Field(default=3.0, gt=0.0)  # spreads beyond the quartiles, or deviations


class DatasetSection(Section):
    """How source files become rows."""

    columns: dict[ColumnName, ColumnSpec] = Field(default_factory=dict)
    infer: bool = False  # every other column of the files is an input, its type seen in the rows
    drop: tuple[str, ...] = ()  # columns that `infer` leaves out: ids, dates, leaks
    max_levels: int = Field(default=50, ge=2)  # `infer` leaves out categories with more
    joins: tuple[JoinSection, ...] = ()
    filters: tuple[FilterSection, ...] = ()
    id: str | None = None  # column that names a row
    time: str | None = None  # column that orders rows
    time_format: str | None = None  # strptime pattern; ISO 8601 when absent
    in_time_order: bool = False  # no time column: files, and rows in them, come in time order
    window_files: int | None = Field(default=None, ge=1)  # only the newest source files, by name
    max_rows: int | None = Field(default=None, ge=100)  # the newest, or a sample (of each file)
    delimiter: str = Field(default=",", pattern=r"^[\t !#-~]$")  # ASCII, but no quote
    missing: tuple[str, ...] = ("", "NA", "NaN", "null")
    missing_rows: Literal["keep", "drop"] = "keep"  # "drop": rows with a gap in any number
    # Of the columns that are not optional: a row to answer with more gaps is refused, unless a
    # training row had as many.
    max_missing_fraction: float = Field(default=0.5, ge=0.0, le=1.0)
    # Words and levels of `pii` columns that fewer training rows have are never shown by name: one
    # that a single row has may be a person's.
    pii_min_rows: int = Field(default=2, ge=1)
    outliers: OutlierSection | None = None
    duplicates: Literal["drop", "keep"] = "drop"
    min_rows: int = Field(default=100, ge=20)
    max_rejected_fraction: float = Field(default=0.2, ge=0.0, le=1.0)
    # Uncompressed, all files of a run: rows take about 14 times as much memory.
    max_bytes: int = Field(default=150_000_000, ge=1_000)


class TargetSection(Section):
    """What is predicted."""

    column: str
    aliases: tuple[str, ...] = ()  # other names it has in source files
    labels: tuple[str, ...] = ()  # allowed classes; empty = those of the data
    map: dict[str, str] = Field(default_factory=dict)  # value in the files -> class
    positive: str | None = None  # the class that a binary project is about
    unlabelled: tuple[str, ...] = ()  # values that mean "no label yet"
    min_rows_per_class: int = Field(default=10, ge=5)
    min: float | None = None  # regression, inclusive
    max: float | None = None
    # Regression: "log" fits the logarithm, as errors of prices are relative. Answers, bounds and
    # metrics stay in the target's unit. The answer is the median, not the mean, of what may be.
    transform: Literal["none", "log"] = "none"


class SplitSection(Section):
    """Which rows are held out for the one final comparison."""

    kind: Literal["stratified", "random", "time"]
    test_fraction: Fraction = 0.2
    seed: int = 42


class SelectionStep(Section):
    """One rule that leaves feature columns out; only "features" looks at the terms of a text."""

    kind: Literal["features", "constant", "correlated", "single_feature", "shap"]
    names: tuple[str, ...] = ()  # of "features": the features that stay
    # |r| above which the later column goes; score a column alone must reach; share of columns
    # with the least mean |SHAP| that go.
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "SelectionStep":
        if (self.threshold is None) != (self.kind in ("features", "constant")):
            raise ValueError("'correlated', 'single_feature' and 'shap' need a threshold in [0, 1]")
        if bool(self.names) != (self.kind == "features"):
            raise ValueError("kind = 'features' and names need each other")
        return self


class SearchRange(Section):
    """A numeric range to search, inclusive."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    @model_validator(mode="after")
    def _range_is_usable(self) -> "SearchRange":
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.log and (self.low <= 0 or self.integer):
            raise ValueError("a log range needs low > 0 and real numbers")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("an integer range needs whole low and high")
        return self


class SearchSection(Section):
    """How candidates look for parameters."""

    kind: Literal["none", "random", "tpe", "grid"] = "none"  # "grid": all of the listed values
    trials: int = Field(default=10, ge=1, le=500)  # per candidate
    seed: int = 42
    prune: bool = True  # give up a trial that is behind after a fold
    max_seconds: float = Field(default=600.0, gt=0.0)  # per candidate; no trial starts later


class CandidateSection(Section):
    """One algorithm with fixed parameters and, optionally, a space to search."""

    name: Name
    algorithm: str
    params: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, SearchRange | tuple[Any, ...]] = Field(default_factory=dict)
    selection: Name | None = None  # of `selections`
    resample: Literal["none", "smote"] = "none"  # of the rows a fold is fitted on, never others
    search: SearchSection | None = None  # of its own, instead of the project's


class CalibrationSection(Section):
    """How scores become probabilities; learned on rows the scoring model did not train on."""

    method: Literal["sigmoid", "none"] = "sigmoid"


TWO_CLASS_RULES = frozenset({"threshold", "top_share"})  # they are about target.positive


class DecisionSection(Section):
    """How probabilities become a class."""

    # "tuned": the smallest correction of the priors that serves the primary metric, on the newest
    # fold where rows have a time. "top_share": the best rows of a batch are positive. "cost": the
    # class that costs least.
    rule: Literal["most_probable", "tuned", "threshold", "top_share", "cost"] = "most_probable"
    threshold: Fraction | None = None  # probability of the positive class, inclusive
    share: Fraction | None = None  # of "top_share": of the rows of a batch
    # Of "cost": true class -> said class -> what that costs, in any money; 0 where left out.
    costs: dict[str, dict[str, float]] = Field(default_factory=dict)
    # Predicted share of a class over its true share, or the reverse: beyond it the decision is
    # degenerate, and the most probable class decides.
    max_share_ratio: float = Field(default=3.0, gt=1.0)
    # What is done where classes are more or less frequent than in training, told without labels.
    # "correct": the probabilities of a batch, and what they decide, are those for its own class
    # shares; estimates of quality likewise. Training must show that it helps. Single requests are
    # answered as they are.
    prior_shift: Literal["keep", "correct"] = "keep"

    @model_validator(mode="after")
    def _settings_belong(self) -> "DecisionSection":
        for rule, name, value in (
            ("threshold", "threshold", self.threshold),
            ("top_share", "share", self.share),
            ("cost", "costs", self.costs or None),
        ):
            if (value is not None) != (self.rule == rule):
                raise ValueError(f"rule = '{rule}' and {name} need each other")
        if self.prior_shift == "correct" and self.rule in ("tuned", "top_share"):
            raise ValueError(
                f"prior_shift = 'correct' does not go with rule = '{self.rule}', which does not "
                "decide by what is probable; take most_probable, threshold or cost"
            )
        return self


class BusinessValueSection(Section):
    """p(positive) x p(contact) x ln(amount): what ranks rows by their worth."""

    kind: Literal["business_value"]
    contact: str | None = None  # column with the probability to reach the row; 1 when absent
    amount: str  # column with the amount; values below 1 count as 1
    band_quantiles: tuple[Fraction, Fraction] = (0.33, 0.66)  # of the training rows' values
    bands: tuple[str, str, str] = ("low", "medium", "high")


class TrainingSection(Section):
    """Where candidates are trained."""

    backend: Literal["lambda", "sagemaker", "glue"] = "lambda"
    # Of the jobs of SageMaker and Glue: one per candidate.
    instance_type: str = Field(
        default="", pattern=r"^(|ml\.[a-z0-9.]+|G\.(1|2|4|8|12|16)X|R\.(1|2|4|8)X)$"
    )
    workers: int = Field(default=2, ge=2, le=299)  # of Glue: machines of that type
    spot: bool = False  # spare capacity (Glue: FLEX): cheaper, may be interrupted or wait
    max_hours: float = Field(default=4.0, gt=0.0, le=120.0)
    # What a promoted challenger's alias gets: the model that was evaluated, or the same procedure
    # fitted again on all rows, the newest included. "auto": refitted where the split is by time.
    serve: Literal["auto", "evaluated", "refitted"] = "auto"
    # Of a split by time. "auto": rows from before a change are left out where that predicts the
    # newest rows better. "all": every row trains, as where seasons come back.
    history: Literal["auto", "all"] = "auto"

    @model_validator(mode="after")
    def _instance_is_of_the_backend(self) -> "TrainingSection":
        kinds = {"sagemaker": ("ml.",), "glue": ("G.", "R.")}.get(self.backend, ())
        if self.instance_type and not self.instance_type.startswith(kinds):
            raise ValueError(
                f"instance_type '{self.instance_type}' is none of backend '{self.backend}'; "
                "SageMaker's are like ml.m5.xlarge, Glue's like G.2X and R.8X"
            )
        if self.backend == "glue" and self.spot and self.machine not in ("G.1X", "G.2X"):
            raise ValueError(f"spot: Glue's spare capacity has G.1X and G.2X, not {self.machine}")
        return self

    @property
    def machine(self) -> str:
        """The instance type, the usual one where none is named."""
        return self.instance_type or {"glue": "G.2X"}.get(self.backend, "ml.m5.xlarge")


class EvaluationSection(Section):
    """How models are compared."""

    primary_metric: str  # chooses the challenger and decides the promotion
    metrics: tuple[str, ...] = Field(min_length=1)
    folds: int = Field(default=5, ge=2, le=20)
    bootstrap_replicates: int = Field(default=2000, ge=200, le=20_000)
    confidence: Fraction = 0.95
    min_test_rows: int = Field(default=30, ge=10)
    slices: tuple[str, ...] = ()  # category columns whose levels are reported on their own


class PromotionSection(Section):
    """What a challenger must show to replace the champion."""

    min_improvement: float = Field(default=0.0, ge=0.0)  # in the primary metric's unit
    gates: tuple[GateSection, ...] = ()
    # Gates that hold by default and are switched off by name. "decision": not degenerate, not
    # worse than always the commonest class. "calibration": see below. "slices": none clearly
    # worse than the champion. "columns": none that the champion does not read.
    off: tuple[Literal["decision", "calibration", "slices", "columns"], ...] = ()
    # Expected calibration error over chance; one better than the champion's passes too.
    max_calibration_error: Fraction = 0.1


class ProjectSpec(Section):
    """One project, whole."""

    project: ProjectSection
    dataset: DatasetSection
    target: TargetSection
    split: SplitSection
    derived: dict[ColumnName, Derivation] = Field(default_factory=dict)
    features: tuple[Feature, ...] = Field(min_length=1)
    selections: dict[Name, Annotated[tuple[SelectionStep, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    candidates: tuple[CandidateSection, ...] = Field(min_length=1)
    search: SearchSection = SearchSection()
    calibration: CalibrationSection = CalibrationSection()
    decision: DecisionSection = DecisionSection()
    postprocess: BusinessValueSection | None = None
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection
    promotion: PromotionSection = PromotionSection()
    rollout: RolloutSection = RolloutSection()
    monitoring: MonitoringSection = MonitoringSection()
    retraining: RetrainingSection = RetrainingSection()
    alerts: AlertsSection = AlertsSection()
    batch: BatchSection = BatchSection()
    limits: LimitsSection = LimitsSection()

    @field_validator("derived")
    @classmethod
    def _sources_come_first(cls, value: dict[str, Derivation]) -> dict[str, Derivation]:
        later = set(value)
        for name, derivation in value.items():
            if late := later.intersection(derivation.source):
                raise ValueError(f"'{name}' is computed before {sorted(late)}; write it after")
            later.discard(name)
        return value

    @property
    def name(self) -> str:
        """The project's name."""
        return self.project.name

    def search_of(self, candidate: CandidateSection) -> SearchSection:
        """Return how a candidate looks for parameters: its own way, else the project's."""
        return candidate.search or self.search

    @property
    def fits_logarithm(self) -> bool:
        """Whether models fit the logarithm of a regression's target."""
        return self.target.transform == "log"

    @property
    def can_recalibrate(self) -> bool:
        """Whether a champion's probabilities can be learned anew and judged.

        They are to be calibrated, and time splits: else old rows would judge what new ones teach.
        """
        has_classes = self.project.task == "classification"
        return has_classes and self.calibration.method != "none" and self.split.kind == "time"

    @property
    def serves_refitted(self) -> bool:
        """Whether what serves is fitted again on all rows, once its procedure has won."""
        if self.training.serve == "auto":
            return self.split.kind == "time"
        return self.training.serve == "refitted"

    @property
    def private_columns(self) -> frozenset[str]:
        """Columns marked `pii`, and those derived from them."""
        marked = {name for name, column in self.dataset.columns.items() if column.pii}
        return frozenset(marked | derived_from(marked, self.derived))

    @property
    def id_columns(self) -> list[str]:
        """Columns of a file that come back with each of its rows."""
        known = [*self.batch.id_columns, *([self.dataset.id] if self.dataset.id else [])]
        return list(dict.fromkeys(known))

    @property
    def column_aliases(self) -> dict[str, str]:
        """Other names of columns in files, and the columns they stand for."""
        columns = self.dataset.columns.items()
        return {alias: name for name, column in columns for alias in column.aliases}
