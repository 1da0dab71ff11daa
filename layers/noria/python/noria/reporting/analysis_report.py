"""The page of an analysis of rows."""

from collections.abc import Iterator

from noria.records.drift import AnalysisReport
from noria.reporting import pictures
from noria.reporting.page import render_page

_MAX_DRAWN = 12  # columns, the most moved first


def render(report: AnalysisReport) -> bytes:
    """Return what was found of rows as one HTML file: no script, no network."""
    return render_page("analysis.html", _pictures(report), d=report)


def _pictures(report: AnalysisReport) -> Iterator[tuple[str, str]]:
    columns = report.columns
    moved = [found.column for found in report.findings]  # the surest first
    names = [name for name in dict.fromkeys((*moved, *columns)) if columns[name].now.n]
    if names:
        yield "columns", pictures.then_and_now({n: columns[n] for n in names[:_MAX_DRAWN]})
