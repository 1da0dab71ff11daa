"""How good a champion is: measured on labels, or estimated without them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PerformanceVerdict = Literal["good", "degraded", "insufficient_data"]


@dataclass(frozen=True)
class Performance:
    """A metric of some rows with its interval, beside what it was out of fold."""

    metric: str
    value: float
    low: float  # of a 95 % interval for the value on rows as many as these
    high: float
    reference: float
    n_rows: int
    is_estimated: bool  # without labels


@dataclass(frozen=True)
class PerformanceReport:
    """One performance check of one champion (`performance.json`)."""

    project: str
    model_version: str
    at: str  # UTC, ISO 8601
    primary_metric: str
    n_labels: int
    n_unknown_labels: int  # of classes that the model does not know
    n_rows: int
    realised: Mapping[str, Performance]
    estimated: Mapping[str, Performance]
    verdict: PerformanceVerdict  # on labels
    estimated_verdict: PerformanceVerdict
    n_unmatched_labels: int = 0  # they belong to no answer, an hour after they came
    n_waiting_labels: int = 0  # they came later and have no answer yet

    def degraded(self) -> tuple[tuple[str, Performance], ...]:
        """Return the primary metric where it is degraded, with the retraining trigger's name."""
        found = (
            ("performance", self.verdict, self.realised),
            ("estimated_performance", self.estimated_verdict, self.estimated),
        )
        return tuple(
            (code, metrics[self.primary_metric])
            for code, verdict, metrics in found
            if verdict == "degraded"
        )
