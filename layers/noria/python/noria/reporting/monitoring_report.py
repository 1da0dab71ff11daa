"""The report of a monitoring check: what was, what is, how sure, and what was decided."""

from collections.abc import Iterator

from noria.records.check import CheckReport, History
from noria.records.drift import DriftReport
from noria.reporting import pictures
from noria.reporting.page import render_page
from noria.reporting.words import change_text, headline, window_text

_MAX_DRAWN = 12  # columns, the most moved first


def render(report: CheckReport, history: History) -> bytes:
    """Return the check as one HTML file: no script, no network, ready to print.

    Parameters
    ----------
    history : History
        The checks before, and this one.
    """
    return render_page(
        "monitoring.html",
        _pictures(report, history),
        d=report,
        headline=headline(report),
        change_text=change_text,
        window_text=window_text,
    )


def most_moved(drift: DriftReport) -> list[str]:
    """Return the columns to show: confirmed first, then by how surely they moved."""
    confirmed = [finding.name for finding in (*drift.confirmed, *drift.suspected)]
    findings = drift.windows.long.findings  # the surest first
    ordered = [*confirmed, *(finding.column for finding in findings)]
    known = [name for name in dict.fromkeys(ordered) if name in drift.columns]
    return [name for name in known if drift.columns[name].now.n][:_MAX_DRAWN]


def moved_columns(drift: DriftReport) -> Iterator[tuple[str, str]]:
    """Yield the picture of the columns that moved most, then and now, where there are rows."""
    if names := most_moved(drift):
        yield "columns", pictures.then_and_now({name: drift.columns[name] for name in names})


def _pictures(report: CheckReport, history: History) -> Iterator[tuple[str, str]]:
    drift, performance = report.drift, report.performance
    yield from moved_columns(drift)
    primary = performance.primary_metric
    found = {"realised": performance.realised, "estimated": performance.estimated}
    shown = {kind: metrics[primary] for kind, metrics in found.items() if primary in metrics}
    if shown:
        yield "performance", pictures.performance(shown)
    if len(history.checks) > 1:
        yield "history", pictures.score_history(history.checks)
