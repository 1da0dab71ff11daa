"""A batch job: its request, plan, what its parts add up to, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from noria.records.verdicts import DriftVerdict, Health

ResultFormat = Literal["csv", "jsonl", "parquet"]
BatchEnd = Literal["BatchCompleted", "BatchHeld", "BatchRejected", "BatchCancelled", "BatchFailed"]


@dataclass(frozen=True)
class JobRequest:
    """A job that was created before its file was there (`job.json`)."""

    filename: str
    limit: int | None = None  # rows to score at most
    created_at: str = ""  # UTC, ISO 8601
    tables: tuple[str, ...] = ()  # keys of files to join, instead of the newest ones


@dataclass(frozen=True)
class JobOwner:
    """The execution that plans a job (`owner.json`): a second one is a duplicate."""

    owner: str


@dataclass(frozen=True)
class FileLayout:
    """How a file's records are written."""

    is_json: bool
    header: tuple[str, ...] = ()  # CSV: the columns in order, by the names the spec gives them
    delimiter: str = ","
    aliases: Mapping[str, str] = field(default_factory=dict)  # JSON lines: other names


@dataclass(frozen=True)
class PlannedPart:
    """One part of a job's file."""

    first_line: int
    n_bytes: int


@dataclass(frozen=True)
class BandEdges:
    """Where the bands of business value end, fixed before the batch."""

    source: str  # "training", or how many earlier batches
    at: tuple[float, ...]  # ascending; empty: no bands
    names: tuple[str, ...]


@dataclass(frozen=True)
class WholeDecision:
    """How rows are decided together, once every part is scored."""

    classes: tuple[str, ...]  # in the order of the model's outputs
    share: float | None = None  # of the rows: the best are of the last class
    # Class shares in training, and how probabilities that are corrected for others are decided.
    known_shares: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class PriorShift:
    """How frequent the classes seem to be in a batch, without labels."""

    n_rows: int  # that were looked at
    training: Mapping[str, float]  # share of each class
    estimated: Mapping[str, float]
    is_corrected: bool  # the rows say more for other shares than chance does


@dataclass(frozen=True)
class BatchPlan:
    """What a job will score, and with which model (`plan.json`)."""

    project: str
    job_id: str
    source_key: str
    filename: str
    started_at: str  # UTC, ISO 8601
    limit: int | None = None  # rows to score at most
    reasons: tuple[str, ...] = ()  # why the file was refused
    parts: tuple[PlannedPart, ...] = ()
    model_version: str | None = None
    layout: FileLayout | None = None
    n_bytes: int = 0
    edges: BandEdges | None = None
    whole: WholeDecision | None = None  # None: each row is decided alone
    top_share: float | None = None  # of plans before `whole`: read, no longer acted on
    is_profiled: bool = False  # its rows are evidence for monitoring
    tables: tuple[str, ...] = ()  # keys of the files that are joined to its rows
    without_tables: tuple[str, ...] = ()  # patterns of those that there are none of
    unmatched: Mapping[str, int] = field(default_factory=dict)  # rows without a match, by pattern
    form: ResultFormat | None = None  # of the results; None: an earlier version planned it
    is_filed: bool = False  # its answers can be found by record id
    # The champion before, where the model is on probation: its answers are filed, not published.
    shadow_version: str | None = None


@dataclass(frozen=True)
class BatchCheck:
    """How the rows of a batch differ from training, in short; `drift_key` has it in full."""

    check_id: str
    at: str  # UTC, ISO 8601
    model_version: str
    verdict: DriftVerdict
    n_rows: int
    drifted: tuple[str, ...]  # columns and rules that are confirmed
    suspected: tuple[str, ...]  # those that more batches must confirm
    drift_key: str
    is_of_champion: bool  # False: another version has been promoted since it was planned
    # Where the profile of the rows goes in the log; None: they are no new evidence.
    profile_key: str | None = None


@dataclass(frozen=True)
class Spread:
    """The distribution of many values: the middles of 100 equal shares of them."""

    n: int
    least: float
    most: float
    middles: tuple[float, ...]


@dataclass(frozen=True)
class Worth:
    """The business value of some rows."""

    n_rows: int
    total: float
    max: float | None


@dataclass(frozen=True)
class BatchWorth(Worth):
    """The business value of a part or a batch, with its spread and bands."""

    spread: Spread | None = None
    bands: Mapping[str, Worth] = field(default_factory=dict)


@dataclass(frozen=True)
class BatchCounts:
    """What a part adds to its batch; those of all parts add up to the batch's."""

    n_rows: int
    n_answered: int
    n_refused: int
    n_outside: int  # answered rows with a number outside the range seen in training
    reasons: Mapping[str, int]  # the most frequent reasons of refusal
    columns: tuple[str, ...]  # of the results
    head: tuple[Mapping[str, Any], ...]  # first rows of the results
    values: BatchWorth | None = None  # None: the project has no business value
    spread: Spread | None = None  # of predicted values, regression
    classes: Mapping[str, int] | None = None  # rows by predicted class
    histogram: tuple[int, ...] | None = None  # of probabilities, 20 bins over [0, 1]
    histogram_of: str | None = None
    n_imputed: int = 0  # answered rows with a gap in a column that is not optional
    imputed: Mapping[str, int] = field(default_factory=dict)  # such gaps by column


@dataclass(frozen=True)
class BatchOutcome:
    """How a job ended (`outcome.json`)."""

    project: str
    job_id: str
    source_key: str
    filename: str
    started_at: str  # UTC, ISO 8601
    finished_at: str
    seconds: float
    outcome: BatchEnd
    summary: str
    n_parts: int
    limit: int | None = None
    reasons: tuple[str, ...] = ()
    model_version: str | None = None
    n_bytes: int = 0
    edges: BandEdges | None = None
    counts: BatchCounts | None = None
    prior_shift: PriorShift | None = None  # where the spec asks for it
    result_key: str | None = None
    refused_key: str | None = None
    has_many_refused: bool = False  # more than batch.max_refused_fraction
    health: Health = "insufficient_data"  # of its rows beside those of training
    drifted: tuple[str, ...] = ()  # columns and rules
    drift_key: str | None = None
    released_at: str | None = None  # when a person published what was held back
    tables: tuple[str, ...] = ()  # keys of the files that were joined
    without_tables: tuple[str, ...] = ()  # patterns of those that there were none of
    unmatched: Mapping[str, int] = field(default_factory=dict)  # rows without a match, by pattern

    @property
    def event(self) -> str:
        """What people are told of."""
        is_partial = self.outcome == "BatchCompleted" and self.has_many_refused
        return "BatchRowsRefused" if is_partial else self.outcome
