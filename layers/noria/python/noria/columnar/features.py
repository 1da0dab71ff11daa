"""The feature view over many rows at once: the fitted blocks of `noria.features.blocks`.

Numbers, levels and weighted terms have a fast way; every other block runs its own row code. Tests
hold what is answered from them equal to the row path's answers, on hostile rows.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.columnar.columns import Columns
from noria.columnar.kernel import Floats, SparseRows
from noria.columnar.scoring import Rows
from noria.features.blocks import Data
from noria.features.text import TextPreparer
from noria.features.view import FeatureView
from noria.records.prediction import Row

_TEXT_ROWS = 2_000  # whose terms are held at once
_MOST_TOKENS = 200_000  # remembered


class BatchView:
    """A fitted feature view, for columns.

    Parameters
    ----------
    view : FeatureView
        The bundle's.
    """

    def __init__(self, view: FeatureView) -> None:
        self._view, self._fitted = view, view.data["blocks"]
        self._terms = None
        if not view.data["derived"] and all(_has_terms(block) for block in self._fitted):
            self._terms = [_Terms(block) for block in self._fitted]

    def transform(self, columns: Columns) -> Iterator[Rows]:
        """Yield the features of all rows in order, some rows at a time: shape (…, width).

        Rows whose texts have no words become doubtful: the row path refuses them.
        """
        if self._terms:
            for first in range(0, columns.n_rows, _TEXT_ROWS):
                places = range(first, min(first + _TEXT_ROWS, columns.n_rows))
                yield _together(self._terms, columns, places, self._view.width)
        elif self._view.is_sparse or self._view.is_all_text:
            yield self._by_row(columns)
        else:
            yield self._by_column(columns)

    def features(
        self, columns: Columns, places: NDArray[np.int64]
    ) -> Floats | list[dict[int, float]]:
        """Return the features of some rows: a matrix, or of a sparse view each row's entries.

        Doubtful rows go through the row code; others give what they are scored by.
        """
        view = self._view
        is_by_row = view.is_sparse or view.is_all_text
        alone = places if is_by_row else places[columns.doubtful[places]]
        rows = columns.rows() if len(alone) else []
        found = [view.apply(view.prepare(rows[place])) for place in alone.tolist()]
        if view.is_sparse:
            return found
        out = np.zeros((columns.n_rows, view.width)) if is_by_row else self._by_column(columns)
        for place, features in zip(alone.tolist(), found, strict=True):
            out[place] = 0.0
            out[place, list(features)] = list(features.values())
        return out[places]

    def _by_column(self, columns: Columns) -> Floats:
        out = np.zeros((columns.n_rows, self._view.width))
        rows: list[Row | None] | None = None
        offset = 0
        for data, block in zip(self._fitted, self._view.blocks, strict=True):
            part = out[:, offset : offset + block.width]
            if not _fill(data, columns, part):
                if rows is None:
                    rows = [
                        None if is_doubtful else self._view.extended(row)
                        for row, is_doubtful in zip(columns.rows(), columns.doubtful, strict=True)
                    ]
                for number, row in enumerate(rows):
                    if row is not None:
                        features: dict[int, float] = {}
                        block.apply(block.prepare(row), 0, features)
                        part[number, list(features)] = list(features.values())
            offset += block.width
        return out

    def _by_row(self, columns: Columns) -> Rows:
        found: list[dict[int, float]] = []
        for number, row in enumerate(columns.rows()):
            prepared = None if columns.doubtful[number] else self._view.prepare(row)
            if prepared is not None and self._view.is_empty_text(prepared):
                columns.doubtful[number] = True
            found.append({} if columns.doubtful[number] else self._view.apply(prepared or []))
        if not self._view.is_sparse:
            dense = np.zeros((len(found), self._view.width))
            for number, features in enumerate(found):
                dense[number, list(features)] = list(features.values())
            return dense
        start = np.cumsum([0, *map(len, found)], dtype=np.int64)
        entries = np.fromiter((i for row in found for i in row), dtype=np.int32)
        values = np.fromiter((v for row in found for v in row.values()), dtype=np.float64)
        return SparseRows(start, entries, values, self._view.width)


def _fill(data: Data, columns: Columns, out: Floats) -> bool:
    """Write a block's features of all rows; False where it has no fast way."""
    names = data["columns"]
    if data["kind"] == "numeric" and not data["by"] and columns.numbers.keys() >= set(names):
        fills = [np.nan if fill is None else fill for fill in data["fill"]]
        for place, (name, fill) in enumerate(zip(names, fills, strict=True)):
            values = columns.numbers[name]
            given = np.where(np.isnan(values), fill, values)
            out[:, place] = (given - data["center"][place]) / data["scale"][place]
        return True
    if data["kind"] == "categorical" and columns.levels.keys() >= set(names):
        offset, rows = 0, np.arange(columns.n_rows)
        for name, fill, known in zip(names, data["fill"], data["levels"], strict=True):
            at = {level: offset + position for position, level in enumerate(known)}
            column = columns.levels[name]
            places = np.array([at.get(fill if x is None else x, -1) for x in column.levels])
            if len(places):
                found = places[column.codes]
                out[rows[found >= 0], found[found >= 0]] = 1.0
            offset += len(known)
        return True
    return False


def _has_terms(block: Data) -> bool:
    return block["kind"] == "text" and not block["hashed"]


class _Entries(NamedTuple):
    """Entries of a sparse matrix, by row."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Floats


class _Terms:
    """`noria.features.blocks.TextBlock` with a vocabulary, over many rows."""

    def __init__(self, data: Data) -> None:
        self._columns: list[str] = data["columns"]
        self._preparer = TextPreparer(data)
        self._of_tokens = data["analyzer"] == "char_wb"  # parts of one token at a time
        self._of_token: dict[str, list[int]] = {}
        self._index = {term: position for position, term in enumerate(data["terms"])}
        self._idf = np.array(data["idf"])
        self._weight: float = data["weight"]
        self._is_sublinear: bool = data["sublinear_tf"]
        self.width = len(self._idf)

    def entries(self, columns: Columns, places: range, has_words: NDArray[np.bool_]) -> _Entries:
        """Return the weighted terms of some rows; mark those that have words at all."""
        found, sizes = list[int](), np.zeros(len(places), dtype=np.int64)
        texts = [self._token_lists(columns, name, places) for name in self._columns]
        for number, place in enumerate(places):
            if columns.doubtful[place]:
                continue
            tokens = [token for part in texts for token in part[number]]
            before = len(found)
            if tokens:
                has_words[number] = True
                self._add(tokens, found)
            sizes[number] = len(found) - before
        return self._weighted(np.array(found, dtype=np.int64), sizes)

    def _token_lists(self, columns: Columns, name: str, places: range) -> list[list[str]]:
        """Return the tokens of a column's texts; doubtful rows have none, as if missing."""
        texts, doubtful = columns.texts[name], columns.doubtful
        return self._preparer.token_lists(
            ["" if doubtful[place] else texts[place] or "" for place in places]
        )

    def _add(self, tokens: list[str], found: list[int]) -> None:
        """Add the terms of a row's tokens."""
        index = self._index
        if not self._of_tokens:
            found += [index[gram] for gram in self._preparer.grams(tokens) if gram in index]
            return
        known = self._of_token
        for token in tokens:  # each once per process: most words come again
            terms = known.get(token)
            if terms is None:
                grams = self._preparer.grams([token])
                terms = [index[gram] for gram in grams if gram in index]
                if len(known) < _MOST_TOKENS:
                    known[token] = terms
            found += terms

    def _weighted(self, found: NDArray[np.int64], sizes: NDArray[np.int64]) -> _Entries:
        row_of = np.repeat(np.arange(len(sizes)), sizes)
        entries, counts = np.unique(row_of * self.width + found, return_counts=True)
        rows, terms = np.divmod(entries, self.width)
        damped = 1.0 + np.log(counts) if self._is_sublinear else counts.astype(np.float64)
        values = damped * self._idf[terms]
        squares = np.bincount(rows, weights=values * values, minlength=len(sizes))
        return _Entries(rows, terms, self._weight * (values / np.sqrt(squares)[rows]))


def _together(blocks: list[_Terms], columns: Columns, places: range, width: int) -> SparseRows:
    """Put the terms of some rows side by side; rows without a word in any become doubtful."""
    has_words = np.zeros(len(places), dtype=bool)
    found, offset = list[_Entries](), 0
    for block in blocks:
        entries = block.entries(columns, places, has_words)
        found.append(entries._replace(columns=entries.columns + offset))
        offset += block.width
    columns.doubtful[places.start : places.stop] |= ~has_words
    rows, terms, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(rows, kind="stable")
    start = np.searchsorted(rows[order], np.arange(len(places) + 1))
    return SparseRows(start.astype(np.int64), terms[order].astype(np.int32), values[order], width)
