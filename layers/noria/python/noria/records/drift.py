"""What a drift check found: by column, by rule, by window, and what has held for long enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from noria.records.verdicts import DriftVerdict

AnalysisVerdict = Literal["stable", "drift", "insufficient_data", "rejected"]


@dataclass(frozen=True)
class ColumnFinding:
    """What one statistic says about one column of a window."""

    column: str
    statistic: str
    effect: float
    threshold: float | None  # effects below it do not matter; None: this statistic only informs
    p_value: float | None
    p_adjusted: float | None  # Benjamini-Yekutieli over all tests of the window
    is_drifted: bool
    detail: str


@dataclass(frozen=True)
class RuleFinding:
    """What a rule says about a window."""

    rule: str
    code: str  # the retraining trigger it belongs to
    is_broken: bool
    text: str
    is_overwhelming: bool = False  # one window is enough


@dataclass(frozen=True)
class CheckedWindow:
    """The findings of one window."""

    n_rows: int
    is_sufficient: bool  # False: too few rows, so nothing was tested
    findings: tuple[ColumnFinding, ...] = ()
    rules: tuple[RuleFinding, ...] = ()

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that have drifted and of the rules that are broken."""
        names = [found.column for found in self.findings if found.is_drifted]
        return (*dict.fromkeys(names), *(rule.rule for rule in self.rules if rule.is_broken))


@dataclass(frozen=True)
class HeldFinding:
    """A column or rule that held in a window: confirmed, or a suspicion."""

    name: str  # column or rule
    code: str  # the retraining trigger it belongs to
    n_windows: int  # of new rows, in which it held
    since: str  # UTC, ISO 8601: when it was first seen
    column: ColumnFinding | None = None  # of a column
    rule: RuleFinding | None = None  # of a rule


@dataclass(frozen=True)
class ColumnSummary:
    """One column of some rows, as people see it."""

    n: int
    n_missing: int
    mean: float | None = None  # numbers
    std: float | None = None
    quantiles: Mapping[str, float | None] | None = None  # p0 to p100
    edges: tuple[float, ...] | None = None  # of the bins
    counts: tuple[int, ...] | None = None  # len(edges) + 1
    levels: Mapping[str, int] | None = None  # categories and watched terms


@dataclass(frozen=True)
class ThenAndNow:
    """One column in training and in the window."""

    then: ColumnSummary
    now: ColumnSummary


@dataclass(frozen=True)
class Windows:
    """The two windows of a check."""

    short: CheckedWindow
    long: CheckedWindow

    def named(self) -> tuple[tuple[str, CheckedWindow], ...]:
        """Return both windows with their names."""
        return ("short", self.short), ("long", self.long)


@dataclass(frozen=True)
class DriftReport:
    """One drift check of one champion (`drift.json`)."""

    project: str
    model_version: str
    at: str  # end of the windows; UTC, ISO 8601
    window_hours: int
    short_window_hours: int
    windows: Windows
    columns: Mapping[str, ThenAndNow]
    latency_ms: Mapping[str, float | None]  # quantiles and mean of the long window
    n_failed: int  # requests that the version could not answer
    n_answered: int = 0  # requests; rows of files are none
    confirmed: tuple[HeldFinding, ...] = ()
    suspected: tuple[HeldFinding, ...] = ()
    n_windows_needed: int = 2  # for what is not overwhelming
    n_new_rows: int = 0  # since the last check that counted
    verdict: DriftVerdict = "insufficient_data"
    job_id: str | None = None  # of a batch: its rows are the long window, the short one is empty
    trained_on: tuple[str, ...] = ()  # files with the batch's content that the model learned from


@dataclass(frozen=True)
class Suspicion:
    """A finding that has held, and the evidence for it."""

    finding: HeldFinding  # as it last held
    n_windows: int  # of new rows, in which it held
    evidence: float  # natural logarithm of its e-value over all windows, 0 or more
    is_confirmed: bool = False


@dataclass(frozen=True)
class Suspicions:
    """What has moved or may have, by window and name (`drift_suspicions` of the project)."""

    model_version: str | None = None
    at: str = ""  # end of the windows of the last check that counted; UTC, ISO 8601
    known: Mapping[str, Suspicion] = field(default_factory=dict)
    n_rows_of_hour: int = 0  # rows that the hour of `at` had then
    job_id: str | None = None  # the last batch that counted, where batches are checked
    confirmed: tuple[HeldFinding, ...] = ()  # as that batch was told
    suspected: tuple[HeldFinding, ...] = ()


@dataclass(frozen=True)
class RefusedRows:
    """Rows of a file that could not be scored, for one reason."""

    n: int
    example: str


@dataclass(frozen=True)
class WrittenFeatures:
    """Where the features of the rows were written."""

    n_rows: int
    at: str = ""


@dataclass(frozen=True)
class AnalysisReport:
    """The rows of files beside the rows a model was trained on (`drift.json` of an analysis)."""

    project: str
    verdict: AnalysisVerdict
    model_version: str = ""
    reason: str | None = None  # of "rejected": why the rows cannot be read
    rows: str = ""  # where they are
    drifted: tuple[str, ...] = ()
    n_rows: int = 0
    min_rows: int = 0
    n_refused: int = 0
    refused: Mapping[str, RefusedRows] = field(default_factory=dict)
    findings: tuple[ColumnFinding, ...] = ()
    columns: Mapping[str, ThenAndNow] = field(default_factory=dict)
    features: WrittenFeatures | None = None
    code: Mapping[str, str] = field(default_factory=dict)  # versions of a job that made it
    trained_on: tuple[str, ...] = ()  # those of the files that the model was trained on
    rules: tuple[RuleFinding, ...] = ()
