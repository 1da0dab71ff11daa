"""Leave rows with extreme numbers out of training; test rows stay as they are."""

import statistics
from collections.abc import Sequence

from noria.records.prediction import Row
from noria.spec.model import OutlierSection


def without_outliers(
    rows: Sequence[Row], columns: Sequence[str], rule: OutlierSection
) -> list[Row]:
    """Return the rows whose known numbers all lie inside the rule's bounds, in order.

    Notes
    -----
    "zscore": mean +- threshold deviations. "iqr": quartiles +- threshold x their distance; 1.5 is
    Tukey's fence. Bounds are learned on these rows. A column of one value bounds nothing.
    """
    bounds = {name: _bounds(rows, name, rule) for name in columns}
    return [
        row
        for row in rows
        if all(
            row[name] is None or low <= row[name] <= high for name, (low, high) in bounds.items()
        )
    ]


def _bounds(rows: Sequence[Row], name: str, rule: OutlierSection) -> tuple[float, float]:
    known = [row[name] for row in rows if row[name] is not None]
    if len(set(known)) < 2:
        return float("-inf"), float("inf")
    if rule.method == "zscore":
        center, spread = statistics.fmean(known), statistics.pstdev(known)
        return center - rule.threshold * spread, center + rule.threshold * spread
    low, _, high = statistics.quantiles(known, n=4, method="inclusive")
    if low == high:
        return float("-inf"), float("inf")
    return low - rule.threshold * (high - low), high + rule.threshold * (high - low)
