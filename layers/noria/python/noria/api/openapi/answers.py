"""The shapes of the API's answers."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import ConfigDict, Field

from noria.records.alias import HistoryEntry
from noria.records.audit import AuditEntry
from noria.records.batch import BatchCounts
from noria.records.bundle import ColumnContract
from noria.records.drift import CheckedWindow
from noria.records.performance import JobPerformance, LastAnswer
from noria.records.prediction import Explanation
from noria.records.verdicts import Health

OPEN: ConfigDict = {"extra": "allow"}  # more keys may come, by project

At = Annotated[str, Field(description="UTC, ISO 8601", json_schema_extra={"format": "date-time"})]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]


class Fault(TypedDict):
    """What is wrong with one field."""

    field: str
    reason: str


class Problem(TypedDict):
    """A request that was not answered (RFC 9457)."""

    type: str
    title: str
    status: NotRequired[int]
    detail: str
    instance: NotRequired[Annotated[str, Field(description="The request's id, as a URN")]]
    errors: NotRequired[list[Fault]]


class _Answered(TypedDict):
    prediction: str | float
    value: NotRequired[Annotated[float, Field(description="Of a regression")]]
    confidence: NotRequired[Share]
    probabilities: NotRequired[dict[str, Share]]
    warnings: NotRequired[list[Fault]]
    explanation: NotRequired[Explanation]
    project: str
    model_version: str
    prediction_id: str
    at: At
    latency_ms: float
    record_id: NotRequired[str]


class Prediction(_Answered):
    """The answer to one row, with what the project's postprocessor adds."""

    __pydantic_config__ = OPEN  # type: ignore[misc]


class BatchItem(TypedDict):
    """The answer to one item, as to a row alone, or why there is none."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    index: Count
    errors: NotRequired[list[Fault]]


class Predictions(TypedDict):
    """The answers to the items, in order."""

    project: str
    model_version: str
    n_items: Count
    n_failed: Count
    results: list[BatchItem]


class ProjectHealth(TypedDict):
    """Whether a project's champion answers."""

    status: Literal["ok", "degraded"]
    reason: str | None
    model_version: str | None


class ServiceHealth(TypedDict):
    """Whether all projects' champions answer."""

    status: Literal["ok", "degraded"]
    projects: dict[str, ProjectHealth]


class ServedModel(TypedDict):
    """What serves a project."""

    project: str
    model_version: str
    algorithm: str
    task: Literal["classification", "regression"]
    classes: list[str]
    columns: dict[str, ColumnContract]
    degraded: Annotated[str | None, Field(description="Why it is not the champion that answers")]


class FiledLabels(TypedDict):
    """How many labels were filed, and what is wrong with the others."""

    project: str
    n_labels: Count
    n_refused: Count
    errors: NotRequired[list[Fault]]


class Promotions(TypedDict):
    """The changes of a project's champion and rollouts."""

    project: str
    promotions: list[HistoryEntry]


class AuditShown(TypedDict):
    """What admins did, newest first."""

    entries: list[AuditEntry]
    next: Annotated[
        int | None, Field(description="The `before` of the next page, where one may be")
    ]


class _Check(TypedDict):
    project: str
    check_id: str
    at: At
    health: Health
    report_key: str


class ShownFinding(TypedDict):
    """A column or rule that held in a window."""

    name: str
    code: Annotated[str, Field(description="The retraining trigger it belongs to")]
    n_windows: Annotated[int, Field(description="Of new rows, in which it held")]
    since: str
    text: str


class ShownDecision(TypedDict):
    """Whether a champion is trained again, and why."""

    retrain: bool
    codes: list[str]
    summary: str


class ShownWindows(TypedDict):
    """The windows of a check; with `?window=` that one alone."""

    short: NotRequired[CheckedWindow]
    long: NotRequired[CheckedWindow]


class DriftMore(_Check):
    """What `drift` shows beside the record, or in other words."""

    windows: ShownWindows
    confirmed: list[ShownFinding]
    suspected: list[ShownFinding]
    drift_detected: bool
    retraining: ShownDecision


class PerformanceMore(_Check):
    """What `performance` shows beside the record."""

    n_jobs: Annotated[Count, Field(description="Batches that labels are of")]


class MetricsShown(TypedDict):
    """A day in numbers."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    project: str
    check_id: NotRequired[str]
    health: NotRequired[Health]
    last_answers: NotRequired[list[LastAnswer]]


class ColumnShown(TypedDict):
    """One column in training and in the window; what a column has not is left out."""

    n: Count
    n_missing: Count
    mean: NotRequired[float]
    std: NotRequired[float]
    quantiles: NotRequired[dict[str, float | None]]
    levels: NotRequired[dict[str, int]]


class FeatureShown(TypedDict):
    """How far a column has moved."""

    then: ColumnShown
    now: ColumnShown
    drift_detected: bool
    scores: Annotated[dict[str, float], Field(description="The effects of the tests")]
    shift: Annotated[float | None, Field(description="Of the mean, in deviations of training")]
    is_beyond_threshold: NotRequired[bool]


class FeaturesShown(_Check):
    """Each column then and now."""

    model_version: str
    features: dict[str, FeatureShown]


class BaselineShown(TypedDict):
    """The traffic that drift is measured against, until the next promotion."""

    project: str
    model_version: str
    from_at: At
    to_at: At


class Upload(TypedDict):
    """Where a file goes."""

    method: Literal["PUT"]
    url: str
    expires_in_seconds: int


class CreatedJob(TypedDict):
    """A batch job that waits for its file."""

    project: str
    job_id: str
    state: Literal["waiting_for_file"]
    upload: Upload


JobState = Literal[
    "waiting_for_file", "running", "completed", "held", "rejected", "cancelled", "cancelling",
    "failed",
]  # fmt: skip


class Job(TypedDict):
    """How a batch job stands; links open what there is."""

    project: str
    job_id: str
    progress: Share
    state: JobState
    summary: NotRequired[str]
    counts: NotRequired[BatchCounts | None]
    model_version: NotRequired[str | None]
    health: NotRequired[Health]
    drifted: NotRequired[list[str]]
    performance: NotRequired[JobPerformance]
    links: NotRequired[dict[str, str]]
    links_expire_in_seconds: NotRequired[int]


class _Standing(TypedDict):
    project: str
    status: Literal["running", "succeeded", "failed", "timed_out", "stopped"]
    started_at: NotRequired[At]
    state: NotRequired[Annotated[str, Field(description="That it entered last")]]
    error: NotRequired[Annotated[str, Field(description="The kind of error it ended with")]]


class StartedCheck(_Standing):
    """A check that was started, or that is there already."""

    check_id: str


class CheckStanding(_Standing):
    """How a check stands, and what it found."""

    check_id: str
    outcome: NotRequired[str]
    health: NotRequired[Health]
    summary: NotRequired[str]
    report: NotRequired[Annotated[str, Field(description="Key of the report")]]
    training: NotRequired[Annotated[str, Field(description="ARN of the training it started")]]


class StartedTraining(_Standing):
    """A training that was started, or that is there already."""

    run_id: str
    how: NotRequired[str]
    n_files: NotRequired[Count]


class TrainingStanding(_Standing):
    """How a training stands, and how it ended."""

    run_id: str
    outcome: NotRequired[str]
    summary: NotRequired[str]
    model_version: NotRequired[str]
    report: NotRequired[Annotated[str, Field(description="Key of the report")]]


class Moved(TypedDict):
    """Who serves now."""

    project: str
    champion: str | None
    previous_champion: str | None
    revision: Count


class Approved(TypedDict):
    """What the rollout was told."""

    project: str
    model_version: str
    approved: bool


class OpenApi(TypedDict):
    """A document such as the one it is described in."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    openapi: str
    paths: dict[str, Any]
