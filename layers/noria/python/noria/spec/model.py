"""The project spec as types: every key is listed here, and every key is read.

Cross-references (columns, algorithms, metrics) are checked by `noria.spec.loader`.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
# An underscore leads the names Noria puts beside the inputs: _target, _time, _id.
ColumnName = Annotated[str, Field(pattern=r"^[^_]", max_length=200)]
Task = Literal["classification", "regression"]
CleaningStep = Literal["brackets", "urls", "tags", "digit_words", "non_alphabetic"]


class Section(BaseModel):
    """A table of the spec: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectSection(Section):
    """Who the project is."""

    name: Name
    task: Task
    description: str = Field(min_length=1)
    owner: str = ""  # who to ask about the rows; named in validation reports


class ColumnSpec(Section):
    """One input column: its type and what a request may send."""

    type: Literal["text", "number", "category"]
    required: bool = False  # must be in a prediction request
    min: float | None = None  # numbers, inclusive
    max: float | None = None
    max_length: int = Field(default=50_000, ge=1)  # characters, text and category
    pii: bool = False  # masked in the prediction log

    @model_validator(mode="after")
    def _bounds_belong_to_numbers(self) -> "ColumnSpec":
        if self.type != "number" and (self.min is not None or self.max is not None):
            raise ValueError("min and max are for columns of type 'number'")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class DatasetSection(Section):
    """How source files become rows."""

    columns: dict[ColumnName, ColumnSpec] = Field(min_length=1)
    id: str | None = None  # column that names a row
    time: str | None = None  # column that orders rows
    time_format: str | None = None  # strptime pattern; ISO 8601 when absent
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    missing: tuple[str, ...] = ("", "NA", "NaN", "null")
    duplicates: Literal["drop", "keep"] = "drop"
    min_rows: int = Field(default=100, ge=20)
    max_rejected_fraction: float = Field(default=0.2, ge=0.0, le=1.0)
    # Uncompressed, all files of a run: rows take about 14 times as much memory.
    max_bytes: int = Field(default=150_000_000, ge=1_000)


class TargetSection(Section):
    """What is predicted."""

    column: str
    labels: tuple[str, ...] = ()  # allowed classes; empty = those of the data
    unlabelled: tuple[str, ...] = ()  # values that mean "no label yet"
    min_rows_per_class: int = Field(default=10, ge=5)
    min: float | None = None  # regression, inclusive
    max: float | None = None


class SplitSection(Section):
    """Which rows are held out for the one final comparison."""

    kind: Literal["stratified", "random", "time"]
    test_fraction: Fraction = 0.2
    seed: int = 42


class TextFeature(Section):
    """TF-IDF of one or more text columns, cleaned and stemmed."""

    name: Name
    kind: Literal["text"]
    columns: tuple[str, ...] = Field(min_length=1)
    clean: tuple[CleaningStep, ...] = ("urls", "tags", "digit_words", "non_alphabetic")
    replace: tuple[tuple[str, str], ...] = ()  # (regular expression, replacement), applied first
    stop_words: Literal["none", "spanish"] = "none"
    extra_stop_words: tuple[str, ...] = ()
    stemming: Literal["none", "spanish", "english"] = "none"
    compatible: bool = False  # strip accents and join words at punctuation, as the old system did
    analyzer: Literal["word", "char_wb"] = "word"
    ngrams: tuple[int, int] = (1, 1)
    max_features: int = Field(default=5000, ge=1, le=200_000)
    min_df: int = Field(default=1, ge=1)  # documents
    sublinear_tf: bool = False
    weight: float = Field(default=1.0, gt=0.0)

    @field_validator("replace")
    @classmethod
    def _patterns_compile(cls, value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pattern, _ in value:
            try:
                re.compile(pattern)
            except re.PatternError as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return value

    @field_validator("ngrams")
    @classmethod
    def _ngrams_are_a_range(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1] <= 8:
            raise ValueError("ngrams is [shortest, longest] with 1 <= shortest <= longest <= 8")
        return value


class NumericFeature(Section):
    """Imputed and scaled numbers."""

    name: Name
    kind: Literal["numeric"]
    columns: tuple[str, ...] = Field(min_length=1)
    impute: Literal["mean", "median", "mode", "none"] = "median"
    scale: Literal["standard", "minmax", "robust", "none"] = "standard"


class CategoricalFeature(Section):
    """One-hot levels; a level unseen in training is all zeros."""

    name: Name
    kind: Literal["categorical"]
    columns: tuple[str, ...] = Field(min_length=1)
    impute: Literal["mode", "level"] = "mode"  # "level": missing is a level of its own
    drop_first: bool = False
    min_rows: int = Field(default=1, ge=1)  # rarer levels are treated as unseen


Feature = Annotated[TextFeature | NumericFeature | CategoricalFeature, Field(discriminator="kind")]


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


class CandidateSection(Section):
    """One algorithm with fixed parameters and, optionally, a space to search."""

    name: Name
    algorithm: str
    params: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, SearchRange | tuple[Any, ...]] = Field(default_factory=dict)


class SearchSection(Section):
    """How candidates look for parameters."""

    kind: Literal["none", "random"] = "none"
    trials: int = Field(default=10, ge=1, le=500)  # per candidate
    seed: int = 42


class TrainingSection(Section):
    """Where candidates are trained."""

    backend: Literal["lambda"] = "lambda"


class EvaluationSection(Section):
    """How models are compared."""

    primary_metric: str  # chooses the challenger and decides the promotion
    metrics: tuple[str, ...] = Field(min_length=1)
    folds: int = Field(default=5, ge=2, le=20)
    bootstrap_replicates: int = Field(default=2000, ge=200, le=20_000)
    confidence: Fraction = 0.95
    min_test_rows: int = Field(default=30, ge=10)


class GateSection(Section):
    """An absolute bound a challenger must meet on the test rows, inclusive."""

    metric: str
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> "GateSection":
        if self.min is None and self.max is None:
            raise ValueError("a gate needs min, max or both")
        return self


class PromotionSection(Section):
    """What a challenger must show to replace the champion."""

    min_improvement: float = Field(default=0.0, ge=0.0)  # in the primary metric's unit
    gates: tuple[GateSection, ...] = ()


class ProjectSpec(Section):
    """One project, whole."""

    project: ProjectSection
    dataset: DatasetSection
    target: TargetSection
    split: SplitSection
    features: tuple[Feature, ...] = Field(min_length=1)
    candidates: tuple[CandidateSection, ...] = Field(min_length=1)
    search: SearchSection = SearchSection()
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection
    promotion: PromotionSection = PromotionSection()

    @property
    def name(self) -> str:
        """The project's name."""
        return self.project.name
