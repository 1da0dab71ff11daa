"""A monitoring check as the API, the command line and the history show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from noria.records.drift import DriftReport
from noria.records.performance import Performance, PerformanceReport
from noria.records.retraining import RetrainingDecision
from noria.records.verdicts import Health

Metric = float | int | str | Mapping[str, float | int | None] | None


@dataclass(frozen=True)
class CheckReport:
    """One check, whole (`report.json`, and `current.json` of the last one)."""

    project: str
    check_id: str
    at: str  # UTC, ISO 8601
    health: Health
    drift: DriftReport
    performance: PerformanceReport
    retraining: RetrainingDecision
    metrics: Mapping[str, Metric]  # the window in numbers
    report_key: str


@dataclass(frozen=True)
class CheckSummary:
    """One check in the history (`history.json`)."""

    check_id: str
    at: str  # UTC, ISO 8601
    model_version: str
    verdict: str
    health: Health
    retrain: bool
    realised: Performance | None  # the primary metric
    estimated: Performance | None


@dataclass(frozen=True)
class History:
    """The last checks, oldest first."""

    checks: tuple[CheckSummary, ...] = ()


@dataclass(frozen=True)
class Baseline:
    """Traffic of the champion that was declared normal: drift is measured against it."""

    model_version: str
    from_at: str  # UTC, ISO 8601
    to_at: str

    def window(self) -> tuple[datetime, datetime]:
        """Return its start and end."""
        return datetime.fromisoformat(self.from_at), datetime.fromisoformat(self.to_at)
