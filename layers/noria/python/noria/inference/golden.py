"""Golden rows: inputs a bundle must score as the training pipeline did, or it is refused."""

import random
from collections.abc import Mapping, Sequence
from math import inf, isnan
from typing import Any, NamedTuple

from noria.errors import ModelIncompatibleError
from noria.inference.predictor import Predictor
from noria.records.prediction import Row

MIN_GOLDEN_ROWS = 200
TOLERANCE = {"float64": 1e-9, "float32": 1e-6}

_HOSTILE_TEXT = (
    None, "", " ", "?!¿¡", "12345 678", "ñandú acción güero", "ＡＢＣ", "日本語のテキスト", "🙂🙂",
    "a" * 2000, "<b>x</b> [y] https://e.org/?q=1", "ACCIO\u0301N", "word\u00a0word\tword\nword",
    "=1+1", "'; drop table--", "\u202e\u200bzero", "İstanbul ẞ ﬁ",
)  # fmt: skip
_HOSTILE_LEVELS = (None, "", "unseen level", "ñ", "(missing)", "1")
_HOSTILE_TIMES = (None, "1900-01-01", "2024-02-29T23:59:59.999999+00:00", "9999-12-31T00:00:00")
_HOSTILE_NUMBERS = (None, 0.0, -0.0, 1.0, -1.0, 1e-300, 1e6, -1e6, 0.1, 16777217.0, 1 / 3)


class GoldenRow(NamedTuple):
    """One row and what the training pipeline answers to it."""

    inputs: Row
    expected: list[float]  # probabilities by class order, or one value


def golden_inputs(rows: Sequence[Row], types: Mapping[str, str], *, seed: int = 42) -> list[Row]:
    """Return at least `MIN_GOLDEN_ROWS` inputs: training rows and hostile ones.

    Parameters
    ----------
    rows : sequence of typed training rows, at least one
    types : mapping of column name to "text", "number", "category" or "time"

    Notes
    -----
    Hostile rows mix missing values, unseen categories, empty and non-ASCII text, and numbers at
    the edges of single precision into real rows, one to all columns at a time.
    """
    rng = random.Random(seed)
    names = list(types)
    real = [{name: row[name] for name in names} for row in rng.sample(rows, min(150, len(rows)))]
    n_hostile = max(100, MIN_GOLDEN_ROWS - len(real))
    hostile: list[Row] = []
    for _ in range(n_hostile):
        row = dict(rng.choice(real))
        for name in rng.sample(names, rng.randint(1, len(names))):
            row[name] = rng.choice(_hostile_values(types[name]))
        hostile.append(row)
    return [*real, *hostile]


def verify(predictor: Predictor, golden: Sequence[GoldenRow]) -> float:
    """Return the largest difference between bundle and training pipeline over the golden rows.

    Returns
    -------
    float
        Relative to the row's largest expected output, absolute where that is below 1. Trees in
        single precision lose digits by the size of their sums, so there the scale is the largest
        output of all rows.

    Raises
    ------
    ModelIncompatibleError
        Fewer than `MIN_GOLDEN_ROWS` rows, or a difference above the precision's tolerance.
    """
    if len(golden) < MIN_GOLDEN_ROWS:
        raise ModelIncompatibleError(
            f"{len(golden)} golden rows prove nothing; {MIN_GOLDEN_ROWS} are required"
        )
    sizes = [max(1.0, *map(abs, row.expected)) for row in golden]
    if predictor.precision == "float32":
        sizes = [max(sizes)] * len(sizes)
    worst, worst_row = 0.0, -1
    for number, (row, size) in enumerate(zip(golden, sizes, strict=True)):
        pairs = zip(predictor.score(row.inputs), row.expected, strict=True)
        difference = max(_distance(left, right) for left, right in pairs) / size
        if difference > worst:
            worst, worst_row = difference, number
    tolerance = TOLERANCE[predictor.precision]
    if worst > tolerance:
        raise ModelIncompatibleError(
            f"golden row {worst_row}: bundle and training pipeline differ by {worst:.3g}; "
            f"{tolerance:g} is allowed",
            difference=worst,
            tolerance=tolerance,
            row=worst_row,
        )
    return worst


def _distance(left: float, right: float) -> float:
    difference = abs(left - right)
    return inf if isnan(difference) else difference


def _hostile_values(kind: str) -> Sequence[Any]:
    return {
        "number": _HOSTILE_NUMBERS,
        "text": _HOSTILE_TEXT,
        "category": _HOSTILE_LEVELS,
        "time": _HOSTILE_TIMES,
    }[kind]
