"""The fitted blocks of a feature view: data in, one row's features out, standard library only.

A block has two halves. `prepare` is stateless (training does it once for all folds); `apply`
uses what `noria.features.fitting` learned. Both are what serving runs.
"""

from collections import Counter
from collections.abc import Mapping
from math import log, nan, sqrt
from typing import Any, Protocol

from noria.features.text import TextPreparer

SparseRow = dict[int, float]  # absent columns are 0; NaN is a missing number


class Block(Protocol):
    """One fitted feature of the spec: `width` columns of the feature matrix."""

    width: int

    def prepare(self, row: Mapping[str, Any]) -> Any:
        """Return what `apply` needs of a row; learns nothing, knows nothing learned."""
        ...

    def apply(self, prepared: Any, offset: int, out: SparseRow) -> None:
        """Write the block's features of one row into `out` from column `offset` on."""
        ...


class TextBlock:
    """TF-IDF with an L2-normalised row.

    Notes
    -----
    tf is the count, or 1 + ln(count) when sublinear; idf = ln((1 + n) / (1 + df)) + 1; n-grams
    outside the vocabulary are dropped. Equal to scikit-learn's TfidfVectorizer(norm="l2",
    smooth_idf=True) [1]_.

    References
    ----------
    .. [1] scikit-learn user guide, section 7.2.3.4, "Tf-idf term weighting".
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.width = len(data["terms"])
        self._index = {term: position for position, term in enumerate(data["terms"])}
        self._idf: list[float] = data["idf"]
        self._sublinear: bool = data["sublinear_tf"]
        self._weight: float = data["weight"]
        self.prepare = TextPreparer(data).prepare

    def apply(self, prepared: list[str], offset: int, out: SparseRow) -> None:
        """Write the weighted terms; a text without known terms writes nothing."""
        index, idf = self._index, self._idf
        counts = Counter([index[gram] for gram in prepared if gram in index])
        values = {
            position: (1.0 + log(count) if self._sublinear else count) * idf[position]
            for position, count in sorted(counts.items())
        }
        norm = sqrt(sum(value * value for value in values.values()))
        for position, value in values.items():
            out[offset + position] = self._weight * (value / norm)


class NumericBlock:
    """Imputed and scaled numbers: (x - center) / scale; a gap without a fill is NaN."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._columns: list[str] = data["columns"]
        self.width = len(self._columns)
        self._learned = list(zip(data["fill"], data["center"], data["scale"], strict=True))

    def prepare(self, row: Mapping[str, Any]) -> list[float | None]:
        """Return the row's numbers in the block's order; None where missing."""
        return [row.get(column) for column in self._columns]

    def apply(self, prepared: list[float | None], offset: int, out: SparseRow) -> None:
        """Write one value a column, zeros included."""
        for value, (fill, center, scale) in zip(prepared, self._learned, strict=True):
            known = fill if value is None else value
            out[offset] = nan if known is None else (known - center) / scale
            offset += 1


class CategoricalBlock:
    """One-hot levels; missing takes the fill, a level unseen in training writes nothing."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._columns: list[str] = data["columns"]
        self._fill: list[str] = data["fill"]
        self._positions: list[dict[str, int]] = []
        self.width = 0
        for levels in data["levels"]:
            self._positions.append(
                {level: self.width + position for position, level in enumerate(levels)}
            )
            self.width += len(levels)

    def prepare(self, row: Mapping[str, Any]) -> list[str | None]:
        """Return the row's levels in the block's order; None where missing."""
        return [row.get(column) for column in self._columns]

    def apply(self, prepared: list[str | None], offset: int, out: SparseRow) -> None:
        """Write a one for each known level."""
        for value, fill, positions in zip(prepared, self._fill, self._positions, strict=True):
            position = positions.get(fill if value is None else value)
            if position is not None:
                out[offset + position] = 1.0


BLOCKS: dict[str, type[TextBlock] | type[NumericBlock] | type[CategoricalBlock]] = {
    "text": TextBlock,
    "numeric": NumericBlock,
    "categorical": CategoricalBlock,
}
