"""The page of a batch job."""

from collections.abc import Iterator, Mapping
from typing import Any

from noria.reporting import pictures
from noria.reporting.page import render_page


def render(outcome: Mapping[str, Any]) -> bytes:
    """Return a closed job, by its `outcome.json`, as one HTML file: no script, no network."""
    counts = outcome["counts"] or {}
    return render_page(
        "batch.html",
        _pictures(counts, _bands(outcome)),
        d=outcome,
        counts=counts,
        bands=_bands(outcome),
    )


def _bands(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each band is worth, the most valuable first."""
    values = (outcome["counts"] or {}).get("values")
    found = values["bands"] if values else {}
    names = outcome["edges"]["names"] if found else []
    return {name: found[name] for name in reversed(names) if name in found}


def _pictures(counts: Mapping[str, Any], bands: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if counts.get("classes"):
        most = sorted(counts["classes"].items(), key=lambda pair: -pair[1])
        yield "classes", pictures.bars(dict(most[:30]), "rows")
        yield "histogram", pictures.shares(counts["histogram"], counts["histogram_of"])
    if counts.get("spread"):
        yield "spread", pictures.quantile_curve(counts["spread"]["middles"], "prediction")
    values = counts.get("values")
    if values and values.get("spread"):
        yield "values", pictures.quantile_curve(values["spread"]["middles"], "business value")
    if bands:
        totals = {name: band["total"] for name, band in bands.items()}
        yield "bands", pictures.bars(totals, "business value in all")
