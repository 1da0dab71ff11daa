"""The page of an analysis of rows."""

from collections.abc import Iterator, Mapping
from typing import Any

from noria.reporting import pictures
from noria.reporting.page import render_page

_MAX_DRAWN = 12  # columns, the most moved first


def render(finding: Mapping[str, Any]) -> bytes:
    """Return what was found of rows, by `drift.json`, as one HTML file: no script, no network."""
    return render_page("analysis.html", _pictures(finding), d=finding)


def _pictures(finding: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    columns = finding["columns"]
    moved = [found["column"] for found in finding["findings"]]  # the surest first
    names = [n for n in dict.fromkeys((*moved, *columns)) if columns[n]["now"]["n"]]
    if names:
        yield "columns", pictures.then_and_now({n: columns[n] for n in names[:_MAX_DRAWN]})
