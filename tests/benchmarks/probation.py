"""`make bench-probation`: how often a new champion is taken back, and how soon, by how much worse.

Each simulated promotion has 168 hours of labels, and a look every hour. Both champions answer the
same rows; on a tenth of them one alone is right. Beside Noria's evidence stands what is usually
done: the interval of the difference at the same risk, looked at every hour.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from noria.monitoring.probation import evidence_of_harm
from noria.spec.operations import RolloutSection
from tests.benchmarks.size import results_file, sized

Floats = NDArray[np.float64]
_N_PROMOTIONS = sized(500, smoke=20)
_HOURS, _LABELS_AN_HOUR = 168, 50
_DISAGREE = 0.10  # share of the rows on which one alone is right
_POINTS = (-2.0, 0.0, 1.0, 2.0, 3.0, 5.0)  # by which the new champion is worse
_RISK = RolloutSection().probation_risk
_QUANTILE = 2.326  # of the normal distribution, at a risk of 1 % on one side


@dataclass(frozen=True)
class TakenBack:
    """What a rule does to champions that are worse by so many points of accuracy."""

    points: float
    rule: str
    share: float  # of the promotions that are taken back within the week
    median_hours: float | None  # until then, of those
    n: int


def main() -> None:
    """Print the table and write `build/probation.json`."""
    found = [taken for points in _POINTS for taken in measured(points)]
    table = Table(title=f"{_N_PROMOTIONS} promotions a row, {_LABELS_AN_HOUR} labels an hour")
    for column in ("worse by", "rule", "taken back", "median hours"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for taken in found:
        hours = "" if taken.median_hours is None else f"{taken.median_hours:.0f}"
        table.add_row(f"{taken.points:g} points", taken.rule, f"{taken.share:.1%}", hours)
    Console(width=110).print(table)
    results_file("probation.json").write_text(json.dumps([asdict(t) for t in found], indent=1))


def measured(points: float) -> list[TakenBack]:
    """Return what both rules do to promotions of a champion that is worse by so many points."""
    ends: dict[str, list[int | None]] = {"evidence": [], "interval, looked at hourly": []}
    for number in range(_N_PROMOTIONS):
        rng = np.random.default_rng([int(10 * (points + 10)), number])
        worse = (_DISAGREE + points / 100.0) / 2.0
        shares = [worse, _DISAGREE - worse, 1.0 - _DISAGREE]
        sides = np.array([1.0, -1.0, 0.0])
        differences: Floats = rng.choice(sides, _HOURS * _LABELS_AN_HOUR, p=shares)
        for rule, is_broken in zip(ends, (_evidence, _intervals), strict=True):
            ends[rule].append(_first(is_broken, differences))
    return [
        TakenBack(
            points,
            rule,
            share=sum(hour is not None for hour in hours) / len(hours),
            median_hours=float(np.median(known)) if (known := [h for h in hours if h]) else None,
            n=len(hours),
        )
        for rule, hours in ends.items()
    ]


def _first(is_broken: Callable[[Floats], bool], differences: Floats) -> int | None:
    """Return the first hour at whose look the rule is broken."""
    for hour in range(1, _HOURS + 1):
        if is_broken(differences[: hour * _LABELS_AN_HOUR]):
            return hour
    return None


def _evidence(seen: Floats) -> bool:
    return evidence_of_harm(seen) >= 1.0 / _RISK


def _intervals(seen: Floats) -> bool:
    half = _QUANTILE * float(seen.std(ddof=1)) / sqrt(len(seen))
    return float(seen.mean()) > half


if __name__ == "__main__":
    main()
