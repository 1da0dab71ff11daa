"""The fitted blocks of a feature view: data in, one row's features out, standard library only.

A block has two halves. `prepare` is stateless (training does it once for all folds); `apply`
uses what `noria.features.fitting` learned. Both are what serving runs.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import inf, log, nan, prod, sqrt
from typing import Any, Protocol
from zlib import crc32

from noria.features.text import TextPreparer
from noria.records.prediction import Row

SparseRow = dict[int, float]  # absent columns are 0; NaN is a missing number
Data = Mapping[str, Any]
Numbers = Sequence[float | None]


class Block(Protocol):
    """One fitted feature of the spec: `width` columns of the feature matrix."""

    width: int

    def prepare(self, row: Row) -> Any:
        """Return what `apply` needs of a row; learns nothing, knows nothing learned."""
        ...

    def apply(self, prepared: Any, offset: int, out: SparseRow) -> None:
        """Write the block's features of one row into `out` from column `offset` on."""
        ...

    def names(self) -> list[str]:
        """Return what each column means, for reports and explanations."""
        ...


class TermWeights:
    """Term counts of a text to TF-IDF with an L2-normalised row, over a vocabulary or by hash.

    Notes
    -----
    tf is the count, or 1 + ln(count) when sublinear; idf = ln((1 + n) / (1 + df)) + 1; n-grams
    outside the vocabulary are dropped. Equal to scikit-learn's TfidfVectorizer(norm="l2",
    smooth_idf=True) [1]_. Hashed terms fall into CRC-32 buckets, its lowest bit their sign.

    References
    ----------
    .. [1] scikit-learn user guide, section 7.2.3.4, "Tf-idf term weighting".
    """

    def __init__(self, data: Data) -> None:
        self.idf: Sequence[float] = data["idf"]
        self._index = {term: position for position, term in enumerate(data["terms"])}
        self._sublinear: bool = data["sublinear_tf"]
        self._counts = self._hashed if data["hashed"] else self._known

    def of(self, grams: list[str]) -> dict[int, float]:
        """Return {term position: weight} in order of position; {} without known terms."""
        idf, damped = self.idf, _damped if self._sublinear else float
        counts = sorted(self._counts(grams).items())
        values = {position: damped(count) * idf[position] for position, count in counts if count}
        norm = sqrt(sum([value * value for value in values.values()]))
        return {position: value / norm for position, value in values.items()}

    def _known(self, grams: list[str]) -> Mapping[int, int]:
        index = self._index
        return Counter([index[gram] for gram in grams if gram in index])

    def _hashed(self, grams: list[str]) -> Mapping[int, int]:
        return hashed_counts(grams, len(self.idf))


def _damped(count: int) -> float:
    return 1.0 + log(count) if count > 0 else -1.0 - log(-count)


def hashed_counts(grams: list[str], n_buckets: int) -> dict[int, int]:
    """Return {bucket: signed count}; collisions of opposite sign cancel."""
    counts: dict[int, int] = {}
    for gram in grams:
        digest = crc32(gram.encode())
        bucket = (digest >> 1) % n_buckets
        counts[bucket] = counts.get(bucket, 0) + (1 if digest & 1 else -1)
    return counts


class TextBlock:
    """Weighted terms, one column each."""

    def __init__(self, data: Data) -> None:
        self._name: str = data["name"]
        self._terms: Sequence[str] = data["terms"]
        self._shown_idf: float = data.get("shown_idf", inf)  # rarer terms have a greater one
        self._weights = TermWeights(data)
        self._weight: float = data["weight"]
        self.width = len(self._weights.idf)
        self.prepare = TextPreparer(data).prepare

    def apply(self, prepared: list[str], offset: int, out: SparseRow) -> None:
        """Write the weighted terms; a text without known terms writes nothing."""
        for position, value in self._weights.of(prepared).items():
            out[offset + position] = self._weight * value

    def names(self) -> list[str]:
        """Return "<feature>: <term>", or a number where terms are hashed, or rare and personal."""
        shown, idf = self._shown_idf, self._weights.idf
        return [
            f"{self._name}: {term}" if idf[i] <= shown else f"{self._name}: (rare term {i})"
            for i, term in enumerate(self._terms or range(self.width))
        ]


class _ScaledBlock:
    """Numbers that are computed from a row, then centred and scaled as learned."""

    def __init__(self, data: Data) -> None:
        self._columns: list[str] = data["columns"]
        self._center: Sequence[float] = data["center"]
        self._scale: Sequence[float] = data["scale"]
        self.width = len(self._center)

    def prepare(self, row: Row) -> Any:
        """Return the row's values in the block's order; None where missing."""
        return [row.get(column) for column in self._columns]

    def raw(self, prepared: Any) -> Numbers:
        """Return the numbers before scaling; None where there is none."""
        raise NotImplementedError

    def apply(self, prepared: Any, offset: int, out: SparseRow) -> None:
        """Write one value per column, zeros included; a gap is NaN."""
        for value, center, scale in zip(self.raw(prepared), self._center, self._scale, strict=True):
            out[offset] = nan if value is None else (value - center) / scale
            offset += 1

    def names(self) -> list[str]:
        """Return the columns' names."""
        return list(self._columns)


class NumericBlock(_ScaledBlock):
    """Imputed and scaled numbers: (x - center) / scale; a gap without a fill is NaN."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self._fill: Numbers = data["fill"]
        self._by: str | None = data["by"]
        self._groups: Mapping[str, Numbers] = data["groups"]

    def prepare(self, row: Row) -> list[Any]:
        """Return the row's numbers, then its group where gaps are filled by group."""
        values = [row.get(column) for column in self._columns]
        return [*values, row.get(self._by)] if self._by else values

    def raw(self, prepared: list[Any]) -> Numbers:
        """Return the numbers with gaps filled."""
        if self._by:
            *values, group = prepared
            fills = self._groups.get(group, self._fill)
        else:
            values, fills = prepared, self._fill
        return [fill if value is None else value for value, fill in zip(values, fills, strict=True)]


class CategoricalBlock:
    """One-hot levels; missing takes the fill, a level unseen in training writes nothing."""

    def __init__(self, data: Data) -> None:
        self._columns: list[str] = data["columns"]
        self._fill: list[str] = data["fill"]
        self._levels: list[list[str]] = data["levels"]
        self._hidden: list[list[str]] = data.get("hidden") or [[] for _ in self._levels]
        self._positions: list[dict[str, int]] = []
        self.width = 0
        for levels in self._levels:
            self._positions.append(
                {level: self.width + position for position, level in enumerate(levels)}
            )
            self.width += len(levels)

    def prepare(self, row: Row) -> list[str | None]:
        """Return the row's levels in the block's order; None where missing."""
        return [row.get(column) for column in self._columns]

    def apply(self, prepared: list[str | None], offset: int, out: SparseRow) -> None:
        """Write a one for each known level."""
        for value, fill, positions in zip(prepared, self._fill, self._positions, strict=True):
            position = positions.get(fill if value is None else value)
            if position is not None:
                out[offset + position] = 1.0

    def names(self) -> list[str]:
        """Return "<column>=<level>"."""
        return [
            f"{column}={level}" if level not in hidden else f"{column}=(rare level {i})"
            for column, levels, hidden in zip(
                self._columns, self._levels, self._hidden, strict=True
            )
            for i, level in enumerate(levels)
        ]


class FrequencyBlock(_ScaledBlock):
    """The share of training rows with the row's level; unseen and missing are 0."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self._shares: list[Mapping[str, float]] = data["shares"]

    def raw(self, prepared: list[Any]) -> Numbers:
        """Return one share a column."""
        return [shares.get(v, 0.0) for shares, v in zip(self._shares, prepared, strict=True)]

    def names(self) -> list[str]:
        """Return "frequency of <column>"."""
        return [f"frequency of {column}" for column in self._columns]


class LevelBlock(_ScaledBlock):
    """How many learned edges a number lies above; a gap is level 0."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self._edges: list[Sequence[float]] = data["edges"]

    def raw(self, prepared: list[Any]) -> Numbers:
        """Return one level a column; an edge itself belongs to the level below it."""
        return [
            0.0 if value is None else float(bisect_left(edges, value))
            for edges, value in zip(self._edges, prepared, strict=True)
        ]

    def names(self) -> list[str]:
        """Return "level of <column>"."""
        return [f"level of {column}" for column in self._columns]


class GroupBlock(_ScaledBlock):
    """Mean and deviation of the row's group, and the row's number over the mean."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self._by: str = data["by"]
        self._overall: list[list[float]] = data["overall"]  # per column: mean, deviation
        self._groups: list[Mapping[str, list[float]]] = data["groups"]

    def prepare(self, row: Row) -> list[Any]:
        """Return the row's numbers, then its group."""
        return [*(row.get(column) for column in self._columns), row.get(self._by)]

    def raw(self, prepared: list[Any]) -> Numbers:
        """Return three numbers a column; a group unseen in training has all rows' statistics."""
        *values, group = prepared
        out: list[float | None] = []
        for value, overall, groups in zip(values, self._overall, self._groups, strict=True):
            mean, deviation = groups.get(group, overall)
            out += [mean, deviation, 1.0 if value is None or not mean else value / mean]
        return out

    def names(self) -> list[str]:
        """Return the three names of each column."""
        kinds = ("mean of {} by {}", "deviation of {} by {}", "{} relative to its mean by {}")
        return [kind.format(column, self._by) for column in self._columns for kind in kinds]


class PolynomialBlock(_ScaledBlock):
    """Products of standardised numbers; `powers` lists the columns each product takes."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self._base: list[list[float]] = data["base"]  # per column: fill, center, scale
        self._powers: list[list[int]] = data["powers"]

    def raw(self, prepared: list[Any]) -> Numbers:
        """Return one product a combination."""
        z = [
            ((fill if value is None else value) - center) / scale
            for value, (fill, center, scale) in zip(prepared, self._base, strict=True)
        ]
        return [prod([z[i] for i in power]) for power in self._powers]

    def names(self) -> list[str]:
        """Return "<column> x <column>"."""
        return [" x ".join(self._columns[i] for i in power) for power in self._powers]


class ReducedTextBlock(_ScaledBlock):
    """Truncated SVD of the weighted terms: their projection on the learned directions."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self._name: str = data["name"]
        self._weights = TermWeights(data)
        self._n_components: int = data["components"]
        self._directions: array[float] = data["directions"]  # term by term
        self._preparer = TextPreparer(data)

    def prepare(self, row: Row) -> list[str]:
        """Return the row's n-grams."""
        return self._preparer.prepare(row)

    def raw(self, prepared: list[str]) -> Numbers:
        """Return the projection; zeros for a text without known terms."""
        width, directions = self._n_components, self._directions
        out = [0.0] * width
        for position, value in self._weights.of(prepared).items():
            start = position * width
            out = [
                total + value * direction
                for total, direction in zip(out, directions[start : start + width], strict=True)
            ]
        return out

    def names(self) -> list[str]:
        """Return "<feature> <number>"."""
        return [f"{self._name} component {i}" for i in range(self.width)]


class EmbeddingBlock(_ScaledBlock):
    """The weighted mean of the words' vectors, which were learned elsewhere."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self._name: str = data["name"]
        self._n: int = data["dimensions"]
        self._place = {word: number for number, word in enumerate(data["terms"])}
        self._word_weights: Sequence[float] = data["weights"]
        self._vectors: Sequence[float] = data["vectors"]  # word by word
        self._centre: Sequence[float] = data["centre"]
        self._preparer = TextPreparer(data)

    def prepare(self, row: Row) -> list[str]:
        """Return the row's words."""
        return self._preparer.prepare(row)

    def raw(self, prepared: list[str]) -> Numbers:
        """Return the mean of the known words, centred; zeros for a text without any."""
        width, vectors = self._n, self._vectors
        out, total = [0.0] * width, 0.0
        for word in prepared:
            place = self._place.get(word)
            if place is None:
                continue
            weight = self._word_weights[place]
            total += weight
            part = vectors[place * width : (place + 1) * width]
            out = [value + weight * number for value, number in zip(out, part, strict=True)]
        if not total:
            return out
        return [value / total - middle for value, middle in zip(out, self._centre, strict=True)]

    def names(self) -> list[str]:
        """Return "<feature> <number>"."""
        return [f"{self._name} dimension {i}" for i in range(self.width)]


BLOCKS: dict[str, Callable[[Data], Block]] = {
    "text": TextBlock,
    "reduced_text": ReducedTextBlock,
    "numeric": NumericBlock,
    "categorical": CategoricalBlock,
    "frequency": FrequencyBlock,
    "levels": LevelBlock,
    "group_statistics": GroupBlock,
    "polynomial": PolynomialBlock,
    "embedding": EmbeddingBlock,
}
TEXT_BLOCKS = frozenset({"text", "reduced_text", "embedding"})
