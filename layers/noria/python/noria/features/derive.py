"""Columns computed from other columns of the same row: the same code in training and in serving.

Nothing here learns. A gap stays a gap: what cannot be computed is None, and the feature that
reads it imputes as it does any other gap.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from graphlib import TopologicalSorter
from math import log1p, sqrt
from typing import Any

from noria.records.prediction import Row

Settings = Mapping[str, Any]  # of one derived column, as the spec has them
Compute = Callable[[Sequence[Any]], Any]  # the source columns' values, none of them missing

_YEAR = re.compile(r"\d+")
_WORDS = re.compile(r"\w+")


class Deriver:
    """Adds derived columns to rows.

    Parameters
    ----------
    data : mapping of column name to derivation
        The spec's `derived` section as JSON data, in any order: a bundle sorts its keys. A
        column that reads another derived one is computed after it.
    """

    def __init__(self, data: Mapping[str, Settings]) -> None:
        self._steps: list[tuple[str, Sequence[str], Compute]] = [
            (name, data[name]["from"], DERIVATIONS[data[name]["as"]](data[name]))
            for name in TopologicalSorter(
                {
                    name: sorted(set(settings["from"]) & set(data))
                    for name, settings in sorted(data.items())
                }
            ).static_order()
        ]

    def extended(self, row: Row) -> Row:
        """Return the row with its derived columns; the row itself where there are none."""
        if not self._steps:
            return row
        out = dict(row)
        for name, sources, compute in self._steps:
            values = [out.get(source) for source in sources]
            out[name] = None if None in values else compute(values)
        return out


def _length(_: Settings) -> Compute:
    return lambda values: float(len(values[0]))


def _words(_: Settings) -> Compute:
    return lambda values: float(len(_WORDS.findall(values[0])))


def _matches(settings: Settings) -> Compute:
    pattern = re.compile(settings["pattern"])
    return lambda values: float(pattern.search(values[0]) is not None)


def _count(settings: Settings) -> Compute:
    """Count the distinct items of a list; an empty text lists nothing."""
    separator: str = settings["separator"]
    return lambda values: float(
        len({item.strip() for item in values[0].split(separator) if item.strip()})
    )


def _years(settings: Settings) -> Compute:
    """Count distinct years; "12" and "2012" are one."""
    separator: str = settings["separator"]

    def count(values: Sequence[Any]) -> float:
        years = (match[0] for item in values[0].split(separator) if (match := _YEAR.search(item)))
        return float(len({f"20{year}" if len(year) == 2 else year for year in years}))

    return count


def _first_match(settings: Settings) -> Compute:
    patterns = [(name, re.compile(pattern)) for name, pattern in settings["patterns"]]
    otherwise: str = settings["otherwise"]

    def first(values: Sequence[Any]) -> str:
        text = values[0].lower()
        return next((name for name, pattern in patterns if pattern.search(text)), otherwise)

    return first


def _above(settings: Settings) -> Compute:
    threshold: float = settings["threshold"]
    return lambda values: float(values[0] > threshold)


def _log(_: Settings) -> Compute:
    """ln(1 + x); below -1 there is no logarithm, and the gap is imputed."""
    return lambda values: log1p(values[0]) if values[0] > -1.0 else None


def _sqrt(_: Settings) -> Compute:
    return lambda values: sqrt(values[0]) if values[0] >= 0.0 else None


def _product(_: Settings) -> Compute:
    return lambda values: float(values[0]) * float(values[1])


def _ratio(_: Settings) -> Compute:
    return lambda values: float(values[0]) / float(values[1]) if values[1] else None


def _of_time(part: Callable[[datetime], Any]) -> Callable[[Settings], Compute]:
    return lambda _: lambda values: part(datetime.fromisoformat(values[0]))


DERIVATIONS: dict[str, Callable[[Settings], Compute]] = {
    "length": _length,
    "words": _words,
    "matches": _matches,
    "count": _count,
    "years": _years,
    "first_match": _first_match,
    "above": _above,
    "log": _log,
    "sqrt": _sqrt,
    "product": _product,
    "ratio": _ratio,
    "year": _of_time(lambda at: str(at.year)),
    "month": _of_time(lambda at: str(at.month)),
    "dayofweek": _of_time(lambda at: str(at.weekday())),  # 0 is Monday
    "quarter": _of_time(lambda at: str((at.month + 2) // 3)),
    "weekend": _of_time(lambda at: float(at.weekday() >= 5)),
}
