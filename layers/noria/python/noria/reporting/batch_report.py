"""The page of a batch job."""

from collections.abc import Iterator, Mapping
from typing import Any

from noria.reporting import pictures
from noria.reporting.page import render_page


def render(outcome: Mapping[str, Any]) -> bytes:
    """Return a closed job, by its `outcome.json`, as one HTML file: no script, no network."""
    counts = outcome["counts"] or {}
    return render_page(
        "batch.html", _pictures(counts), d=outcome, counts=counts, columns=_columns(counts)
    )


def _columns(counts: Mapping[str, Any]) -> list[str]:
    head = counts.get("head") or [{}]
    return list(dict.fromkeys(name for row in head for name in row))


def _pictures(counts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if counts.get("classes"):
        most = sorted(counts["classes"].items(), key=lambda pair: -pair[1])
        yield "classes", pictures.bars(dict(most[:30]), "rows")
        yield "histogram", pictures.shares(counts["histogram"], counts["histogram_of"])
    if counts.get("spread"):
        yield "spread", pictures.quantile_curve(counts["spread"]["quantiles"], "prediction")
    values = counts.get("values")
    if values and values.get("spread"):
        yield "values", pictures.quantile_curve(values["spread"]["quantiles"], "business value")
    if values and values.get("bands"):
        totals = {name: band["total"] for name, band in values["bands"].items()}
        yield "bands", pictures.bars(totals, "business value in all")
