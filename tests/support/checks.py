"""The steps of a monitoring check in their order, on a project in memory."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from noria.steps.check_drift import CheckDriftRequest, CheckDriftResult, check_drift
from noria.steps.check_performance import (
    CheckPerformanceRequest,
    CheckPerformanceResult,
    check_performance,
)
from noria.steps.decide_retraining import (
    DecideRetrainingRequest,
    DecideRetrainingResult,
    decide_retraining,
)
from noria.steps.write_monitoring_report import (
    WriteMonitoringReportRequest,
    WriteMonitoringReportResult,
    write_monitoring_report,
)
from tests.support.fakes import FixedClock
from tests.support.production import Production


def _name(at: datetime, check_id: str | None) -> str:
    return check_id or f"c-{at:%d-%H}"


def checked_drift(p: Production, at: datetime, check_id: str | None = None) -> CheckDriftResult:
    """Run the first step of a check only."""
    return check_drift(
        CheckDriftRequest("loans", _name(at, check_id), at.isoformat()),
        spec=p.spec, store=p.store, aliases=p.aliases, state=p.state, clock=FixedClock(at),
    )  # fmt: skip


def decided(
    p: Production, at: datetime, check_id: str | None = None, **decide: bool
) -> tuple[CheckDriftResult, CheckPerformanceResult, DecideRetrainingResult]:
    """Run a check up to its decision."""
    name = _name(at, check_id)
    drift = checked_drift(p, at, name)
    performance = check_performance(
        CheckPerformanceRequest("loans", name, at.isoformat()),
        spec=p.spec, store=p.store, aliases=p.aliases, clock=FixedClock(at),
    )  # fmt: skip
    decision = decide_retraining(
        DecideRetrainingRequest("loans", name, at.isoformat(), **decide),
        spec=p.spec, store=p.store, aliases=p.aliases,
    )  # fmt: skip
    return drift, performance, decision


def whole_check(
    p: Production, at: datetime, check_id: str | None = None, **decide: bool
) -> tuple[
    CheckDriftResult, CheckPerformanceResult, DecideRetrainingResult, WriteMonitoringReportResult
]:
    """Run every step of a check; return drift, performance, decision, report."""
    found = decided(p, at, check_id, **decide)
    report = write_monitoring_report(
        WriteMonitoringReportRequest("loans", _name(at, check_id)), spec=p.spec, store=p.store
    )
    return *found, report


def new_file(p: Production, name: str = "new.csv", n: int = 300) -> None:
    """Put a file of `n` rows into the inbox."""
    p.store.put(f"inbox/loans/2/{name}", b"x,y\n" + b"1,no\n" * n)


def drifting(**sections: Mapping[str, Any]) -> tuple[Production, datetime]:
    """Return a project whose traffic has moved for six hours, and when that was."""
    p = Production(retraining={"rows": "since_change", "row_age_hours": 0.5, **sections})
    p.store.put("inbox/loans/1/a.csv", b"x,y\n1,no\n")
    end = p.hours(6, shift=0.8)
    decided(p, end)
    return p, end
