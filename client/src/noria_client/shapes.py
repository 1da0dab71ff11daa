"""What the API answers, as far as callers read it by name; it may hold more."""

from typing import Any, Literal, NotRequired, TypedDict

Inputs = dict[str, Any]  # values of one row by column
Label = str | float | int | bool


class Fault(TypedDict):
    """What is wrong with one field."""

    field: str
    reason: str


class Prediction(TypedDict):
    """The answer to one row."""

    prediction: str | float
    value: NotRequired[float]  # of a regression
    confidence: NotRequired[float]
    probabilities: NotRequired[dict[str, float]]
    warnings: NotRequired[list[Fault]]
    explanation: NotRequired[dict[str, Any]]
    model_version: str
    prediction_id: str  # labels may name it
    record_id: NotRequired[str]


class Predictions(TypedDict):
    """The answers to several rows, in order; a bad row has `errors` instead."""

    model_version: str
    n_items: int
    n_failed: int
    results: list[dict[str, Any]]


class FiledLabels(TypedDict):
    """How many labels were filed, and what is wrong with the others."""

    n_labels: int
    n_refused: int
    errors: NotRequired[list[Fault]]


class Job(TypedDict):
    """How a batch job stands."""

    job_id: str
    state: Literal[
        "waiting_for_file", "running", "completed", "held", "rejected", "cancelled", "cancelling",
        "failed",
    ]  # fmt: skip
    progress: float  # in [0, 1]
    summary: NotRequired[str]
    counts: NotRequired[dict[str, Any] | None]
    links: NotRequired[dict[str, str]]  # open for a quarter of an hour


class Standing(TypedDict):
    """How a check or a training stands."""

    status: Literal["running", "succeeded", "failed", "timed_out", "stopped"]
    outcome: NotRequired[str]
    summary: NotRequired[str]


Answer = dict[str, Any]  # what has no shape of its own here: the API's document has it
