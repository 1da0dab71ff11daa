"""A part's cells as typed columns: numbers, levels and texts, as the row path would read them.

What is quick to judge is judged here, for all rows at once. A row with anything unusual is marked
doubtful, and `noria.inference.predictor` decides about it alone, so both ways give one verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noria.columnar.kernel import Floats
from noria.columnar.words import Words
from noria.data.values import normalized
from noria.records.bundle import ColumnContract
from noria.records.prediction import Row

Cells = Mapping[str, pa.Array]  # strings by column; null where there is no cell


class Levels(NamedTuple):
    """A column of few distinct values: row i has `levels[codes[i]]`."""

    codes: NDArray[np.int64]
    levels: list[str | None]

    def values(self) -> list[str | None]:
        """Return one value per row."""
        levels = self.levels
        return [levels[code] for code in self.codes.tolist()]


@dataclass
class Columns:
    """The typed columns of `n_rows` rows."""

    n_rows: int
    doubtful: NDArray[np.bool_]
    outside: NDArray[np.bool_]  # rows with a number outside the range seen in training
    n_gaps: NDArray[np.int64]  # of each row, in the columns that are not optional
    numbers: dict[str, Floats] = field(default_factory=dict)  # NaN where missing
    levels: dict[str, Levels] = field(default_factory=dict)
    texts: dict[str, list[str | None]] = field(default_factory=dict)
    gaps: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # of columns that have some

    @cached_property
    def words(self) -> Words:
        """The words of the texts; read it once the texts are."""
        return Words(self.texts, self.n_rows)

    def gaps_in(self, places: NDArray[np.int64]) -> dict[str, int]:
        """Return how many gaps some rows have, by column; without columns that have none."""
        counts = {name: int(np.count_nonzero(gaps[places])) for name, gaps in self.gaps.items()}
        return {name: n for name, n in counts.items() if n}

    def rows(self) -> list[Row]:
        """Return rows as the row path takes them: one dict each, None where missing."""
        columns: dict[str, Sequence[Any]] = {
            name: [None if value != value else value for value in values.tolist()]  # noqa: PLR0124
            for name, values in self.numbers.items()
        }
        columns |= {name: column.values() for name, column in self.levels.items()}
        columns |= self.texts
        return [{name: values[i] for name, values in columns.items()} for i in range(self.n_rows)]


def read_columns(
    cells: Cells,
    n_rows: int,
    columns: Mapping[str, ColumnContract],
    missing: frozenset[str],
    *,
    max_gaps: int | None = None,
) -> Columns:
    """Type the cells of the model's columns; a column that is not there is missing everywhere.

    Parameters
    ----------
    max_gaps : int or None
        Rows with more gaps in columns that are not optional become doubtful.
    """
    doubtful, outside = np.zeros(n_rows, dtype=bool), np.zeros(n_rows, dtype=bool)
    out = Columns(n_rows, doubtful, outside, np.zeros(n_rows, dtype=np.int64))
    is_empty, has_no_text = np.ones(n_rows, dtype=bool), np.ones(n_rows, dtype=bool)
    for name, column in columns.items():
        found = cells.get(name)
        given = pa.nulls(n_rows, pa.string()) if found is None else found
        if column.type == "number":
            is_absent = _read_number(name, column, given, missing, out)
            if column.seen:
                low, high = column.seen
                with np.errstate(invalid="ignore"):
                    out.outside |= (out.numbers[name] < low) | (out.numbers[name] > high)
        elif column.type == "text":
            is_absent = _read_text(name, column, given, missing, out)
        else:
            is_absent = _read_levels(name, column, given, missing, out)
        is_empty &= is_absent
        if column.type == "text":
            has_no_text &= is_absent
        if column.missing == "refuse":
            out.doubtful |= is_absent
        if not column.optional and is_absent.any():
            out.n_gaps += is_absent
            out.gaps[name] = is_absent
    out.doubtful |= is_empty
    if out.texts:
        out.doubtful |= has_no_text
    if max_gaps is not None:
        out.doubtful |= out.n_gaps > max_gaps
    return out


def read_number(cell: str, missing: frozenset[str]) -> float | str | None:
    """Return a cell's number, None where it says "missing", the cell itself where it is neither."""
    stripped = cell.strip()
    if stripped in missing:
        return None
    try:
        return float(stripped)
    except ValueError:
        return cell


def _read_number(
    name: str, column: ColumnContract, cells: pa.Array, missing: frozenset[str], out: Columns
) -> NDArray[np.bool_]:
    trimmed = pc.utf8_trim_whitespace(cells)
    is_absent = pc.is_null(trimmed)
    if missing:
        words = pa.array(sorted(missing), pa.string())
        is_absent = pc.or_(is_absent, pc.is_in(trimmed, value_set=words))
    kept = pc.if_else(is_absent, pa.scalar(None, pa.string()), trimmed)
    absent = _to_numpy(is_absent)
    try:
        values = pc.cast(kept, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # a cell that is no number, or one that Python reads and Arrow does not
        read = [None if cell is None else read_number(cell, missing) for cell in kept.to_pylist()]
        values = np.array([value if isinstance(value, float) else np.nan for value in read])
    low, high = column.min, column.max
    with np.errstate(invalid="ignore"):
        is_bad = ~absent & ~np.isfinite(values)
        if low is not None:
            is_bad |= values < low
        if high is not None:
            is_bad |= values > high
    out.doubtful |= is_bad
    out.numbers[name] = np.where(absent, np.nan, values)
    return absent


def _read_text(
    name: str, column: ColumnContract, cells: pa.Array, missing: frozenset[str], out: Columns
) -> NDArray[np.bool_]:
    given = cells.to_pylist()  # `noria.data.values.normalized`, without a call for each
    texts = [None if text is None or text.strip() in missing else text for text in given]
    out.doubtful |= _to_numpy(
        pc.fill_null(pc.greater(pc.utf8_length(cells), column.max_length), False)
    )
    out.texts[name] = texts
    return np.array([text is None for text in texts], dtype=bool)


def _read_levels(
    name: str, column: ColumnContract, cells: pa.Array, missing: frozenset[str], out: Columns
) -> NDArray[np.bool_]:
    coded = pc.dictionary_encode(cells, null_encoding="encode")
    kind = column.type
    levels = [normalized(level, kind, missing) for level in coded.dictionary.to_pylist()]
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    odd = [level is not None and _is_odd(level, column) for level in levels]
    is_odd, absent = np.array(odd, dtype=bool), np.array([x is None for x in levels], dtype=bool)
    out.levels[name] = Levels(codes, levels)
    out.doubtful |= is_odd[codes]
    return np.asarray(absent[codes], dtype=bool)


def _is_odd(level: str, column: ColumnContract) -> bool:
    return bool(column.type == "time" or len(level) > column.max_length)


def _to_numpy(flags: Any) -> NDArray[np.bool_]:
    return np.asarray(flags.to_numpy(zero_copy_only=False), dtype=bool)
