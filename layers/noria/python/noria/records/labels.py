"""What became of a file of labels (`report.json`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LabelsEnd = Literal["LabelsFiled", "LabelsRefused", "LabelsRejected"]


@dataclass(frozen=True)
class LabelsReport:
    """How a file of labels was read."""

    project: str
    source_key: str
    at: str  # UTC, ISO 8601
    # Whole; with rows that were refused; not at all.
    outcome: LabelsEnd
    summary: str
    n_labels: int = 0
    n_refused: int = 0
    n_unlabelled: int = 0  # rows whose label is not known yet
    reasons: Mapping[str, int] = field(default_factory=dict)  # the most frequent ones
    refused_key: str | None = None
