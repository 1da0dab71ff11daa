"""A dataset version: what its manifest says of the rows, and of the records that are not in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RejectedExample:
    """One rejected record, without its cells."""

    file: str
    line: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ValidationReport:
    """What became of the records of a run's source files (`report.json` of the quarantine)."""

    accepted: bool
    outcome: tuple[str, ...]  # why the dataset was rejected; empty when accepted
    n_records: int
    n_rows: int  # accepted
    n_rejected: int
    n_duplicates: int
    n_unlabelled: int
    n_without_text: int
    n_filtered: int
    n_gaps: int
    n_beyond_max_rows: int
    n_formula_cells: int
    reasons: Mapping[str, int]  # the most frequent reasons of rejection
    examples: tuple[RejectedExample, ...]
    n_outliers: int = 0
    n_outdated: int = 0  # the oldest of a split by time, where training is better without them
    n_since_change: int | None = None  # newest rows, since the champion's errors changed
    n_test: int | None = None  # rows that judge
    classes: Mapping[str, int] = field(default_factory=dict)  # accepted rows of each class
    rare_classes: Mapping[str, int] = field(default_factory=dict)  # too few rows: left out
    left_out: Mapping[str, str] = field(default_factory=dict)  # columns, with the reason
    unusable_table_records: Mapping[str, int] = field(default_factory=dict)  # by joined table
    project: str = ""
    description: str = ""
    owner: str = ""
    sources: tuple[str, ...] = ()  # the files that were read


@dataclass(frozen=True)
class DatasetSchema:
    """The columns of a dataset version."""

    columns: Mapping[str, str]  # type of each
    target: str
    beside: tuple[str, ...]  # names Noria puts beside the inputs
    inferred: Mapping[str, Any] = field(default_factory=dict)  # types that the rows have told


@dataclass(frozen=True)
class DatasetOrigin:
    """Where the rows of a dataset version come from."""

    sources: tuple[str, ...] = ()  # the files that were read
    offered: tuple[str, ...] = ()  # the files of the request, read or not
    report: ValidationReport | None = None
    schema: DatasetSchema | None = None


@dataclass(frozen=True)
class DatasetManifest:
    """A dataset version: it exists once this is written (`manifest.json`)."""

    project: str
    dataset_version: str
    files: Mapping[str, str]  # SHA-256 of the rows, by file
    n_train: int
    n_test: int
    sources: tuple[str, ...] = ()  # the files that were read
    offered: tuple[str, ...] = ()  # the files of the request, read or not
    report: ValidationReport | None = None
    schema: DatasetSchema | None = None
