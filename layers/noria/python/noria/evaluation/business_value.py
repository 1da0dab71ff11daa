"""What rows are worth together, by band: totals of what a postprocessor added to each row."""

from collections.abc import Mapping, Sequence
from math import fsum

from noria.records.evaluation import BandTotals, BusinessTotals


def business_totals(
    added: Sequence[Mapping[str, float | str | None]], is_positive: Sequence[bool]
) -> BusinessTotals | None:
    """Return what many rows are worth together, and by band; None where none has a value.

    Parameters
    ----------
    added : sequence
        What the postprocessor added to each row.
    is_positive : sequence of bool
        Whether the row turned out positive.

    Returns
    -------
    BusinessTotals or None
        Bands with the largest mean first.
    """
    valued = [
        (float(part["business_value"] or 0.0), part["band"], hit)
        for part, hit in zip(added, is_positive, strict=True)
        if part.get("business_value") is not None
    ]
    if not valued:
        return None
    bands = []
    for band in {band for _, band, _ in valued}:
        values = [value for value, of, _ in valued if of == band]
        hits = [hit for _, of, hit in valued if of == band]
        name = None if band is None else str(band)
        bands.append(BandTotals(*_totals(values), name, sum(hits) / len(hits)))
    bands.sort(key=lambda found: -found.mean)
    return BusinessTotals(*_totals([value for value, _, _ in valued]), tuple(bands))


def _totals(values: Sequence[float]) -> tuple[int, float, float, float]:
    """Return how many values there are, their sum, mean and maximum."""
    total = fsum(values)
    return len(values), total, total / len(values), max(values)
