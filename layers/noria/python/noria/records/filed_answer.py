"""What monitoring keeps of an answered request, to be joined with its label."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FiledAnswer:
    """What is kept of a record to be joined with its label."""

    prediction_id: str
    model_version: str
    prediction: str | float
    outputs: tuple[float, ...]  # probabilities in the order of the classes, or the one value
    record_id: str | None = None
    true_label: str | float | None = None  # where the request carried it
    latency_ms: float | None = None  # inside predict
