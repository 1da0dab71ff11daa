"""The feature view over many rows at once: the fitted blocks of `noria.features.blocks`.

Numbers, levels and weighted terms have a fast way; every other block runs its own row code. Tests
hold what is answered from them equal to the row path's answers, on hostile rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from noria.columnar.columns import Columns
from noria.columnar.kernel import Floats, SparseRows
from noria.columnar.scoring import Rows
from noria.columnar.terms import Entries, TermBlock
from noria.features.blocks import Data
from noria.features.view import FeatureView
from noria.records.prediction import Row


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
            self._terms = [TermBlock(block) for block in self._fitted]

    def transform(self, columns: Columns) -> Iterator[Rows]:
        """Yield the features of all rows in order, some rows at a time: shape (…, width).

        Rows whose texts have no words become doubtful: the row path refuses them.
        """
        if self._terms:
            for stretch in columns.words.stretches:
                yield _together(self._terms, columns, stretch, self._view.width)
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


def _together(
    blocks: Sequence[TermBlock], columns: Columns, stretch: range, width: int
) -> SparseRows:
    """Put the terms of some rows side by side; rows without a word in any become doubtful."""
    has_words = np.zeros(len(stretch), dtype=bool)
    found, offset = list[Entries](), 0
    for block in blocks:
        entries = block.entries(columns, stretch, has_words)
        found.append(entries._replace(columns=entries.columns + offset))
        offset += block.width
    columns.doubtful[stretch.start : stretch.stop] |= ~has_words
    if len(found) == 1:
        rows, terms, values = found[0]
    else:
        rows, terms, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(rows.astype(np.uint16), kind="stable")
        rows, terms, values = rows[order], terms[order], values[order]
    start = np.searchsorted(rows, np.arange(len(stretch) + 1))
    return SparseRows(start.astype(np.int64), terms, values, width)
