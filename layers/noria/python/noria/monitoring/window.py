"""The profile of what one model version answered in some time; profiles of chunks add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noria.monitoring.profiles import ColumnProfile, Counts, Floats, NumberProfile
from noria.records.prediction import Answer

LATENCY_EDGES = np.geomspace(0.05, 30_000.0, 120)  # ms; neighbours differ by 12 %
_UNIT = 2.0**-30  # of probabilities that are summed: a thousand-millionth; 2³³ rows fit
_EXACT_ROWS = 1 << 22  # so many units add up in double precision without rounding


@dataclass
class WindowProfile:
    """What is kept of the records that one model version answered in some time."""

    columns: dict[str, ColumnProfile]
    latency: NumberProfile  # ms
    shares: Counts  # sum of p(true class) in units of 2^-30 by (class, decided class)
    n_rows: int = 0
    n_failed: int = 0  # requests the version could not answer; another one did

    @property
    def expected(self) -> Floats:
        """Sum of p(true class) by (class, decided class); empty for regression."""
        return np.asarray(self.shares * _UNIT, dtype=np.float64)

    def add(self, other: "WindowProfile") -> None:
        """Take the profile of more records in."""
        for name, column in self.columns.items():
            column.add(other.columns[name])  # type: ignore[arg-type]
        self.latency.add(other.latency)
        self.shares = self.shares + other.shares
        self.n_rows += other.n_rows
        self.n_failed += other.n_failed

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON data, without its frame."""
        return {
            "n_rows": self.n_rows,
            "n_failed": self.n_failed,
            "columns": {name: column.to_dict() for name, column in self.columns.items()},
            "latency": self.latency.to_dict(),
            "shares": self.shares.tolist(),
        }


def nothing() -> WindowProfile:
    """Return a profile without columns, classes or rows."""
    return WindowProfile({}, NumberProfile.of(LATENCY_EDGES, ()), np.zeros((0, 0), dtype=np.int64))


def shares_of(classes: Sequence[str], outputs: Floats, decided: Counts) -> Counts:
    """Return the sum of each class's probability over the rows decided for each class.

    Parameters
    ----------
    outputs : array of shape (n, n_classes)
        Probabilities.
    decided : array of shape (n,)
        Numbers of the classes decided for.

    Returns
    -------
    array of shape (n_classes, n_classes)
        In units of 2^-30. Each probability is rounded to the unit, so that sums are exact,
        whatever their order.
    """
    if not len(classes):
        return np.zeros((0, 0), dtype=np.int64)
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for start in range(0, len(decided), _EXACT_ROWS):
        rows = slice(start, start + _EXACT_ROWS)
        for place in range(len(classes)):
            units = np.rint(outputs[rows, place] / _UNIT)
            sums = np.bincount(decided[rows], weights=units, minlength=len(classes))
            table[place] += sums.astype(np.int64)
    return table


def shares_of_answers(classes: Sequence[str], answers: Sequence[Answer]) -> Counts:
    """Return `shares_of` of single answers."""
    place = {name: i for i, name in enumerate(classes)}
    rows = answers if classes else ()
    outputs = [[answer.probabilities[name] for name in classes] for answer in rows]
    decided = [place[str(answer.prediction)] for answer in rows]
    shaped = np.array(outputs, dtype=np.float64).reshape(len(rows), len(classes))
    return shares_of(classes, shaped, np.array(decided, dtype=np.int64))


def read_shares(data: Mapping[str, Any], n_classes: int) -> Counts:
    """Return the shares of a stored profile; earlier ones held sums of probabilities."""
    units = data["shares"] if "shares" in data else np.rint(np.array(data["expected"]) / _UNIT)
    return np.array(units, dtype=np.int64).reshape(n_classes, n_classes)
