"""Learn a feature view from training rows; the only place where features learn anything."""

import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from math import log
from typing import Any

from noria.features.blocks import BLOCKS
from noria.features.text import TextPreparer
from noria.spec.model import CategoricalFeature, Feature, NumericFeature, TextFeature

_CONSTANT = 10 * sys.float_info.epsilon  # a spread this small is rounding, not information
MISSING_LEVEL = "(missing)"

Row = Mapping[str, Any]
Prepared = Sequence[Any]


class RowPreparer:
    """The stateless half of a feature view that is not fitted yet.

    Training prepares all rows once and fits each fold on slices of the result, so text is
    cleaned and stemmed once, whatever the number of folds and candidates.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self.settings = [_settings(feature) for feature in features]
        self._prepare = [
            TextPreparer(s).prepare if s["kind"] == "text" else _empty_block(s).prepare
            for s in self.settings
        ]

    def prepare(self, row: Row) -> list[Any]:
        """Return what `fit_feature_view` and `FeatureView.apply` take, one entry a feature."""
        return [prepare(row) for prepare in self._prepare]


def fit_feature_view(
    features: Sequence[Feature], settings: Sequence[dict[str, Any]], rows: Sequence[Prepared]
) -> list[dict[str, Any]]:
    """Return the fitted blocks, as data, of prepared training rows.

    Parameters
    ----------
    features : sequence of spec features
    settings : `RowPreparer.settings` of the same features
    rows : sequence of prepared rows, at least one
    """
    fitted = []
    for position, (feature, fixed) in enumerate(zip(features, settings, strict=True)):
        parts = [row[position] for row in rows]
        if isinstance(feature, TextFeature):
            learned = _fit_text(feature, parts)
        elif isinstance(feature, NumericFeature):
            learned = _fit_numeric(feature, parts)
        else:
            learned = _fit_categorical(feature, parts)
        fitted.append({**fixed, **learned})
    return fitted


def stop_words(name: str) -> list[str]:
    """Return a vendored stop-word list by name, sorted; "none" is empty."""
    if name == "none":
        return []
    text = files("noria.features").joinpath(f"stop_words/{name}.txt").read_text(encoding="utf-8")
    return sorted(
        word for line in text.splitlines() if not line.startswith("#") for word in line.split()
    )


def _settings(feature: Feature) -> dict[str, Any]:
    base = {"name": feature.name, "kind": feature.kind, "columns": list(feature.columns)}
    if not isinstance(feature, TextFeature):
        return base
    return base | {
        "clean": sorted(feature.clean),
        "replace": [list(pair) for pair in feature.replace],
        "stop_words": sorted({*stop_words(feature.stop_words), *feature.extra_stop_words}),
        "stemming": feature.stemming,
        "compatible": feature.compatible,
        "analyzer": feature.analyzer,
        "ngrams": list(feature.ngrams),
        "sublinear_tf": feature.sublinear_tf,
        "weight": feature.weight,
    }


def _empty_block(settings: Mapping[str, Any]) -> Any:
    none: list[Any] = [None] * len(settings["columns"])
    unfitted = {"fill": none, "center": none, "scale": none, "levels": [[] for _ in none]}
    return BLOCKS[settings["kind"]]({**settings, **unfitted})


def _fit_text(feature: TextFeature, rows: Sequence[list[str]]) -> dict[str, Any]:
    totals: Counter[str] = Counter()
    documents: Counter[str] = Counter()
    for grams in rows:
        totals.update(grams)
        documents.update(set(grams))
    frequent = [term for term, df in documents.items() if df >= feature.min_df]
    kept = sorted(sorted(frequent, key=lambda term: (-totals[term], term))[: feature.max_features])
    n_rows = len(rows)
    idf = [log((1 + n_rows) / (1 + documents[term])) + 1.0 for term in kept]
    return {"terms": kept, "idf": idf}


def _fit_numeric(feature: NumericFeature, rows: Sequence[list[float | None]]) -> dict[str, Any]:
    fills, centers, scales = [], [], []
    for position in range(len(feature.columns)):
        known = [row[position] for row in rows if row[position] is not None]
        fill = _numeric_fill(feature.impute, known)
        whole = [fill if row[position] is None else row[position] for row in rows]
        center, scale = _center_and_scale(feature.scale, [v for v in whole if v is not None])
        fills.append(fill)
        centers.append(center)
        scales.append(scale)
    return {"fill": fills, "center": centers, "scale": scales}


def _numeric_fill(how: str, known: list[Any]) -> float | None:
    if how == "none":
        return None
    if not known:  # a column that is empty in training carries nothing, whatever it holds later
        return 0.0
    if how == "mean":
        return float(statistics.fmean(known))
    if how == "median":
        return float(statistics.median(known))
    counts = Counter(known)
    return float(min(counts, key=lambda value: (-counts[value], value)))


def _center_and_scale(how: str, values: list[float]) -> tuple[float, float]:
    if how == "none" or not values:
        return 0.0, 1.0
    if how == "standard":
        center = statistics.fmean(values)
        scale = statistics.pstdev(values, center)
    elif how == "minmax":
        center, scale = min(values), max(values) - min(values)
    elif len(values) == 1:
        center, scale = values[0], 0.0
    else:
        low, center, high = statistics.quantiles(values, n=4, method="inclusive")
        scale = high - low
    is_constant = scale <= _CONSTANT * max(1.0, abs(center))
    return center, 1.0 if is_constant else scale


def _fit_categorical(
    feature: CategoricalFeature, rows: Sequence[list[str | None]]
) -> dict[str, Any]:
    fills, levels = [], []
    for position in range(len(feature.columns)):
        counts = Counter(row[position] for row in rows if row[position] is not None)
        fill: Any = MISSING_LEVEL
        if feature.impute == "mode" and counts:
            fill = min(counts, key=lambda level: (-counts[level], str(level)))
        counts[fill] += sum(row[position] is None for row in rows)
        kept = sorted(str(level) for level, count in counts.items() if count >= feature.min_rows)
        fills.append(fill)
        levels.append(kept[1:] if feature.drop_first else kept)
    return {"fill": fills, "levels": levels}
