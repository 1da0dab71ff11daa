"""The report of a monitoring check: what was, what is, how sure, and what was decided."""

from collections.abc import Iterator, Mapping
from typing import Any

from noria.reporting import pictures
from noria.reporting.page import render_page

_MAX_DRAWN = 12  # columns, the most moved first


def render(document: Mapping[str, Any]) -> bytes:
    """Return the check as one HTML file: no script, no network, ready to print.

    Parameters
    ----------
    document : mapping
        `drift`, `performance` and `retraining`: what the check's steps wrote; `history`: earlier
        checks, oldest first.
    """
    return render_page("monitoring.html", _pictures(document), d=document)


def most_moved(drift: Mapping[str, Any]) -> list[str]:
    """Return the columns to show: confirmed first, then by how surely they moved."""
    confirmed = [finding["name"] for finding in drift["confirmed"]]
    findings = drift["windows"]["long"]["findings"]  # the surest first
    ordered = [*confirmed, *(finding["column"] for finding in findings)]
    known = [name for name in dict.fromkeys(ordered) if name in drift["columns"]]
    return [n for n in known if drift["columns"][n]["now"]["n"]][:_MAX_DRAWN]


def _pictures(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    drift = document["drift"]
    names = most_moved(drift)
    if names:
        yield "columns", pictures.then_and_now({name: drift["columns"][name] for name in names})
    shown = {
        kind: found[document["performance"]["primary_metric"]]
        for kind in ("realised", "estimated")
        if (found := document["performance"][kind])
        and document["performance"]["primary_metric"] in found
    }
    if shown:
        yield "performance", pictures.performance(shown)
    if len(document["history"]) > 1:
        yield "history", pictures.score_history(document["history"])
