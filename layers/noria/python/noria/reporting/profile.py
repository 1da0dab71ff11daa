"""A data profile: what the rows of a dataset look like, and what deserves a look."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from noria.records.prediction import Row
from noria.spec.columns import column_types
from noria.spec.model import ProjectSpec

_SHOWN_LEVELS = 10
_BINS = 20
_MANY_MISSING, _STRONG, _SKEWED, _FAR = 0.2, 0.9, 3.0, 3.0
_RARE_CLASS = 0.05
_ROUNDING = 1e-12  # of the greatest number: a smaller range is no variation
_MAX_CORRELATED = 60  # columns
_LEAK = 0.95  # |r| with the target above which a column deserves suspicion


def profile(rows: Sequence[Row], targets: Sequence[Any], spec: ProjectSpec) -> dict[str, Any]:
    """Return the profile of training rows as JSON data.

    Parameters
    ----------
    rows : sequence of typed rows with their derived columns
    targets : sequence of labels or values, one per row

    Returns
    -------
    dict
        `n_rows`, `columns` (per column: type, missing fraction, distinct values, and numbers,
        levels or text lengths), `target`, `correlations` (Pearson's r of the numbers) and
        `alerts` (sentences).
    """
    columns = {
        name: _column(
            kind,
            [row.get(name) for row in rows],
            spec.dataset.pii_min_rows if name in spec.private_columns else 1,
        )
        for name, kind in column_types(spec).items()
    }
    is_class = spec.project.task == "classification"
    target = _levels(targets) if is_class else _numbers([float(value) for value in targets])
    numeric = {n: [row.get(n) for row in rows] for n, c in columns.items() if "mean" in c}
    if not is_class:
        numeric[spec.target.column] = list(targets)
    found = {
        "n_rows": len(rows),
        "columns": columns,
        "target": {"name": spec.target.column, **target},
        "correlations": _correlations(numeric),
    }
    return found | {"alerts": [*_alerts(found, spec)]}


def _column(kind: str, values: Sequence[Any], least: int) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    shown: dict[str, Any] = {
        "type": kind,
        "missing_fraction": 1.0 - len(known) / len(values),
        "n_distinct": len(set(known)),
    }
    if not known:
        return shown
    if kind == "number":
        return shown | _numbers(known)
    if kind == "text":
        return shown | {"characters": _numbers([float(len(value)) for value in known])}
    return shown | _levels(known, least)


def _numbers(values: Sequence[float]) -> dict[str, Any]:
    array = np.asarray(values, dtype=np.float64)
    # Numbers that differ by rounding only have no room for bins.
    is_narrow = np.ptp(array) <= _ROUNDING * np.abs(array).max()
    counts, edges = np.histogram(array, bins=1 if is_narrow else _BINS)
    low, median, high = (float(v) for v in np.quantile(array, [0.25, 0.5, 0.75]))
    spread = float(array.std())
    skew = float(np.mean(((array - array.mean()) / spread) ** 3)) if spread > 0.0 else 0.0
    far = (array < low - _FAR * (high - low)) | (array > high + _FAR * (high - low))
    return {
        "mean": float(array.mean()),
        "deviation": spread,
        "min": float(array.min()),
        "q25": low,
        "median": median,
        "q75": high,
        "max": float(array.max()),
        "skew": skew,
        "far_fraction": float(far.mean()) if high > low else 0.0,
        "histogram": {"counts": counts.tolist(), "edges": edges.tolist()},
    }


def _levels(values: Sequence[Any], least: int = 1) -> dict[str, Any]:
    counts = Counter(str(value) for value in values)
    named = [pair for pair in counts.items() if pair[1] >= least]
    shown = sorted(named, key=lambda pair: (-pair[1], pair[0]))
    return {
        "levels": {level: n / len(values) for level, n in shown[:_SHOWN_LEVELS]},
        "n_levels": len(counts),
    }


def _correlations(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return r of pairs, over the rows where both are known; 0 where one never changes.

    The first `_MAX_CORRELATED` columns only: pairs grow with their square.
    """
    names = list(columns)[:_MAX_CORRELATED]
    matrix = np.eye(len(names))
    arrays = [np.array([np.nan if v is None else v for v in columns[n]], float) for n in names]
    for i, j in combinations(range(len(names)), 2):
        both = ~np.isnan(arrays[i]) & ~np.isnan(arrays[j])
        left, right = arrays[i][both], arrays[j][both]
        if len(left) > 1 and _varies(left) and _varies(right):
            matrix[i, j] = matrix[j, i] = np.clip(np.corrcoef(left, right)[0, 1], -1.0, 1.0)
    return {"names": names, "matrix": matrix.tolist()}


def _varies(values: Any) -> bool:
    return bool(np.ptp(values) > _ROUNDING * np.abs(values).max())


def _alerts(found: Mapping[str, Any], spec: ProjectSpec) -> Iterator[str]:
    for name, column in found["columns"].items():
        yield from _column_alerts(name, column)
    names, matrix = found["correlations"]["names"], found["correlations"]["matrix"]
    for i, j in combinations(range(len(names)), 2):
        r = matrix[i][j]
        if abs(r) >= _LEAK and spec.target.column in (names[i], names[j]):
            yield f"{names[i]} and {names[j]} move together (r = {r:+.2f}): is it known in time?"
        elif abs(r) >= _STRONG:
            yield f"{names[i]} and {names[j]} say nearly the same (r = {r:+.2f})"
    for level, share in found["target"].get("levels", {}).items():
        if share < _RARE_CLASS:
            yield f"class '{level}' is rare: {share:.1%} of the rows"


def _column_alerts(name: str, column: Mapping[str, Any]) -> Iterator[str]:
    if column["n_distinct"] == 0:
        yield f"{name} is empty"
    elif column["n_distinct"] == 1:
        yield f"{name} never changes"
    if column["n_distinct"] and column["missing_fraction"] > _MANY_MISSING:
        yield f"{name} is missing in {column['missing_fraction']:.0%} of the rows"
    if abs(column.get("skew", 0.0)) > _SKEWED:
        yield f"{name} is skewed ({column['skew']:+.1f}); its logarithm may say more"
    if column.get("far_fraction", 0.0) > 0.01:
        yield f"{name} has {column['far_fraction']:.1%} values far outside its quartiles"
