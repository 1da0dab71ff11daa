"""Learn a feature view from training rows; the only place where features learn anything."""

import statistics
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from itertools import combinations, combinations_with_replacement
from math import log
from typing import Any

import numpy as np

from noria.features.blocks import BLOCKS, TermWeights, hashed_counts
from noria.features.derive import Deriver
from noria.features.reduction import leading_directions
from noria.features.text import SINGLE_WORDS, TextPreparer
from noria.records.prediction import Row
from noria.spec.features import (
    CategoricalFeature,
    EmbeddingFeature,
    Feature,
    FrequencyFeature,
    GroupFeature,
    LevelFeature,
    NumericFeature,
    PolynomialFeature,
    TextFeature,
)
from noria.spec.model import ProjectSpec

_HALF = 0.02  # of the rows: a word that so many have counts half
_CONSTANT = 10 * sys.float_info.epsilon  # a spread this small is rounding, not information
_POSITIVE_SHARE = 0.9  # "positive" levels: above this share of the positive values is the top
MISSING_LEVEL = "(missing)"

Prepared = Sequence[Any]
Fitted = dict[str, Any]


class RowPreparer:
    """The stateless half of a feature view that is not fitted yet.

    Training prepares all rows once and fits each fold on slices of the result, so text is
    cleaned and stemmed once, whatever the number of folds and candidates.
    """

    def __init__(self, spec: ProjectSpec) -> None:
        self.derived = {name: d.model_dump(mode="json") for name, d in spec.derived.items()}
        self.features = spec.features
        private, least = spec.private_columns, spec.dataset.pii_min_rows
        self.settings = [
            _settings(feature) | _privacy(feature, private, least) for feature in self.features
        ]
        self._derive = Deriver(self.derived)
        self._prepare = [_preparer(settings) for settings in self.settings]

    def extended(self, row: Row) -> Row:
        """Return the row with its derived columns."""
        return self._derive.extended(row)

    def prepare(self, row: Row) -> list[Any]:
        """Return what `fit_feature_view` and `FeatureView.apply` take, one entry per feature."""
        extended = self._derive.extended(row)
        return [prepare(extended) for prepare in self._prepare]


def fit_feature_view(preparer: RowPreparer, rows: Sequence[Prepared]) -> dict[str, Any]:
    """Return the fitted feature view, as data, of prepared training rows.

    Parameters
    ----------
    preparer : RowPreparer
        It has prepared the rows.
    rows : sequence of prepared rows, at least one
    """
    blocks = []
    for position, (feature, fixed) in enumerate(
        zip(preparer.features, preparer.settings, strict=True)
    ):
        parts = [row[position] for row in rows]
        fitted = {**fixed, **_LEARNERS[feature.kind](feature, fixed, parts)}
        blocks.append(_with_scaling(feature, fitted, parts))
    return {"derived": preparer.derived, "blocks": blocks}


def stop_words(name: str) -> list[str]:
    """Return a vendored stop-word list by name, sorted; "none" is empty."""
    if name == "none":
        return []
    text = files("noria.features").joinpath(f"stop_words/{name}.txt").read_text(encoding="utf-8")
    return sorted(
        word for line in text.splitlines() if not line.startswith("#") for word in line.split()
    )


def _privacy(feature: Feature, private: frozenset[str], least: int) -> Fitted:
    """Return how many rows a term or a level of personal columns needs to be shown by name."""
    has_names = isinstance(feature, TextFeature | CategoricalFeature)
    return {"shown_rows": least} if has_names and private.intersection(feature.columns) else {}


def _settings(feature: Feature) -> Fitted:
    """Return what a block knows before it learns."""
    base: Fitted = {"name": feature.name, "kind": feature.kind, "columns": list(feature.columns)}
    if isinstance(feature, NumericFeature | GroupFeature):
        return base | {"by": feature.by}
    if isinstance(feature, EmbeddingFeature):
        return base | {**_WORDS, "dimensions": feature.dimensions}
    if not isinstance(feature, TextFeature):
        return base
    return base | {
        "kind": "reduced_text" if feature.components else "text",
        "clean": sorted(feature.clean),
        "replace": [list(pair) for pair in feature.replace],
        "stop_words": sorted({*stop_words(feature.stop_words), *feature.extra_stop_words}),
        "stemming": feature.stemming,
        "compatible": feature.compatible,
        "analyzer": feature.analyzer,
        "ngrams": list(feature.ngrams),
        "hashed": feature.terms == "hashed",
        "sublinear_tf": feature.sublinear_tf,
        "components": feature.components,
        "weight": feature.weight,
    }


# How a text becomes the words that an embedding is looked up by.
_WORDS: Fitted = {**SINGLE_WORDS, "clean": ["non_alphabetic", "tags", "urls"]}
# What a block's constructor reads of what it will learn.
_UNLEARNED: Fitted = dict.fromkeys(
    ("fill", "levels", "shares", "edges", "overall", "base", "powers", "center", "scale"), ()
) | {"groups": {}}


def _preparer(settings: Fitted) -> Callable[[Row], Any]:
    if settings["kind"] in ("text", "reduced_text", "embedding"):
        return TextPreparer(settings).prepare
    return BLOCKS[settings["kind"]]({**_UNLEARNED, **settings}).prepare


def _with_scaling(feature: Feature, fitted: Fitted, parts: Sequence[Any]) -> Fitted:
    """Add the centre and scale of a block whose columns are numbers."""
    how = getattr(feature, "scale", None)
    if how is None or fitted["kind"] == "text":
        return fitted
    block: Any = BLOCKS[fitted["kind"]]({**fitted, "center": (), "scale": ()})
    if how == "none":  # nothing to learn of the rows
        width = len(block.raw(parts[0]))
        return {**fitted, "center": [0.0] * width, "scale": [1.0] * width}
    columns = zip(*(block.raw(part) for part in parts), strict=True)
    pairs = [_center_and_scale(how, [v for v in column if v is not None]) for column in columns]
    return {**fitted, "center": [c for c, _ in pairs], "scale": [s for _, s in pairs]}


def _fit_text(feature: TextFeature, fixed: Fitted, rows: Sequence[list[str]]) -> Fitted:
    learned = _fit_hashed(feature, rows) if fixed["hashed"] else _fit_vocabulary(feature, rows)
    if "shown_rows" in fixed and not fixed["hashed"]:
        learned |= {"shown_idf": _idf(len(rows), [fixed["shown_rows"]])[0]}
    if feature.components is None:
        return learned
    weights = TermWeights({**fixed, **learned})
    weighted = [weights.of(row) for row in rows]
    directions = leading_directions(weighted, len(learned["idf"]), feature.components)
    return learned | {"directions": directions}


def _fit_vocabulary(feature: TextFeature, rows: Sequence[list[str]]) -> Fitted:
    totals: Counter[str] = Counter()
    documents: Counter[str] = Counter()
    for grams in rows:
        totals.update(grams)
        documents.update(set(grams))
    frequent = [term for term, df in documents.items() if df >= feature.min_df]
    kept = sorted(sorted(frequent, key=lambda term: (-totals[term], term))[: feature.max_features])
    return {"terms": kept, "idf": _idf(len(rows), (documents[term] for term in kept))}


def _fit_hashed(feature: TextFeature, rows: Sequence[list[str]]) -> Fitted:
    documents: Counter[int] = Counter()
    for grams in rows:
        documents.update(hashed_counts(grams, feature.max_features).keys())
    return {
        "terms": [],
        "idf": _idf(len(rows), (documents[i] for i in range(feature.max_features))),
    }


def _idf(n_rows: int, documents: Iterable[int]) -> list[float]:
    return [log((1 + n_rows) / (1 + count)) + 1.0 for count in documents]


def _fit_numeric(feature: NumericFeature, fixed: Fitted, rows: Sequence[list[Any]]) -> Fitted:
    n_columns = len(feature.columns)
    how = "mean" if feature.impute == "group_mean" else feature.impute
    fill = [_numeric_fill(how, _known(rows, i)) for i in range(n_columns)]
    groups: dict[str, list[float | None]] = {}
    if feature.by:
        by_group = defaultdict(list)
        for *values, group in rows:
            by_group[group].append(values)
        for group in sorted(group for group in by_group if group is not None):
            known = [_known(by_group[group], i) for i in range(n_columns)]
            groups[group] = [
                _numeric_fill("mean", values) if values else overall
                for values, overall in zip(known, fill, strict=True)
            ]
    return {"fill": fill, "groups": groups}


def _known(rows: Iterable[Sequence[Any]], position: int) -> list[float]:
    return [row[position] for row in rows if row[position] is not None]


def _numeric_fill(how: str, known: list[float]) -> float | None:
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
    feature: CategoricalFeature, fixed: Fitted, rows: Sequence[list[str | None]]
) -> Fitted:
    fills, levels, hidden = [], [], []
    for position in range(len(feature.columns)):
        counts = Counter(row[position] for row in rows if row[position] is not None)
        fill: Any = MISSING_LEVEL
        if feature.impute == "mode" and counts:
            fill = min(counts, key=lambda level: (-counts[level], str(level)))
        counts[fill] += sum(row[position] is None for row in rows)
        kept = sorted(
            str(level) for level, count in counts.items() if count >= (feature.min_rows or 1)
        )
        fills.append(fill)
        levels.append(kept[1:] if feature.drop_first else kept)
        least = fixed.get("shown_rows", 1)
        hidden.append(sorted(str(level) for level, count in counts.items() if count < least))
    learned: Fitted = {"fill": fills, "levels": levels}
    return learned | ({"hidden": hidden} if any(hidden) else {})


def _fit_frequency(feature: FrequencyFeature, fixed: Fitted, rows: Sequence[list[Any]]) -> Fitted:
    shares = []
    for position in range(len(feature.columns)):
        counts = Counter(row[position] for row in rows if row[position] is not None)
        shares.append({level: counts[level] / len(rows) for level in sorted(counts)})
    return {"shares": shares}


def _fit_levels(feature: LevelFeature, fixed: Fitted, rows: Sequence[list[Any]]) -> Fitted:
    edges = []
    for position in range(len(feature.columns)):
        known = sorted(_known(rows, position))
        if feature.edges == "positive":
            positive = [value for value in known if value > 0]
            edges.append([0.0, _quantile(positive, _POSITIVE_SHARE)] if positive else [0.0])
        else:
            parts = [part / feature.levels for part in range(1, feature.levels)] if known else []
            # Tied quantiles would make empty levels; they fall together instead.
            edges.append(sorted({_quantile(known, part) for part in parts}))
    return {"edges": edges}


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile by linear interpolation, as numpy's and pandas' default."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def _fit_groups(feature: GroupFeature, fixed: Fitted, rows: Sequence[list[Any]]) -> Fitted:
    overall, groups = [], []
    for position in range(len(feature.columns)):
        by_group = defaultdict(list)
        for row in rows:
            if row[position] is not None:
                by_group[row[-1]].append(row[position])
        overall.append(_mean_and_deviation(_known(rows, position)))
        known = sorted(group for group in by_group if group is not None)
        groups.append({group: _mean_and_deviation(by_group[group]) for group in known})
    return {"overall": overall, "groups": groups}


def _mean_and_deviation(values: Sequence[float]) -> list[float]:
    if not values:
        return [0.0, 0.0]
    mean = statistics.fmean(values)
    return [mean, statistics.stdev(values, mean) if len(values) > 1 else 0.0]


def _fit_polynomial(feature: PolynomialFeature, fixed: Fitted, rows: Sequence[list[Any]]) -> Fitted:
    n_columns = len(feature.columns)
    base = []
    for position in range(n_columns):
        known = _known(rows, position)
        fill = float(statistics.median(known)) if known else 0.0
        base.append([fill, *_center_and_scale("standard", known)])
    choose = combinations if feature.interaction_only else combinations_with_replacement
    sizes = range(2, feature.degree + 1)
    powers = [list(power) for size in sizes for power in choose(range(n_columns), size)]
    return {"base": base, "powers": powers}


def _fit_embedding(feature: EmbeddingFeature, fixed: Fitted, rows: Sequence[list[str]]) -> Fitted:
    """Return the words of the most rows with their vectors, reduced to the rows' directions.

    A word counts by a / (a + its share of the rows): frequent ones say little.

    References
    ----------
    S. Arora, Y. Liang, T. Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR
    2017; a is larger than theirs, as the share is of texts, not of words.
    """
    from noria.features.word_vectors import projected, word_vectors  # reads a package of its own

    documents: Counter[str] = Counter()
    for words in rows:
        documents.update(set(words))
    frequent = sorted(documents, key=lambda word: (-documents[word], word))
    kept = sorted(frequent[: feature.max_features])
    place = {word: number for number, word in enumerate(kept)}
    weights = [_HALF / (_HALF + documents[word] / len(rows)) for word in kept]
    known = [[place[word] for word in words if word in place] for words in rows]
    vectors, centre = projected(known, word_vectors(kept), np.array(weights), feature.dimensions)
    return {"terms": kept, "weights": array("d", weights), "vectors": vectors, "centre": centre}


_LEARNERS: dict[str, Callable[[Any, Fitted, Sequence[Any]], Fitted]] = {
    "text": _fit_text,
    "numeric": _fit_numeric,
    "categorical": _fit_categorical,
    "frequency": _fit_frequency,
    "levels": _fit_levels,
    "group_statistics": _fit_groups,
    "polynomial": _fit_polynomial,
    "embedding": _fit_embedding,
}
