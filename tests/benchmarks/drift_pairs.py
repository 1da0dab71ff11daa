"""Windows of real rows with known answers: pairs, random halves, and files drawn from them."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from noria.features.text_signals import TextObserver, watched_words
from noria.monitoring.checks import check_columns
from noria.monitoring.profiles import (
    ColumnProfile,
    Frame,
    FrameColumn,
    frequent_levels,
    number_edges,
)
from noria.spec.operations import MonitoringSection
from tests.benchmarks.data import DATA
from tests.benchmarks.size import sized

MONITORING = MonitoringSection()
_NUMERIC_SHARE, _FEW = 0.95, 10
_PARTS = ("characters", "words", "rare", "terms")
_HALVINGS = sized(100, smoke=1)
_FILES = sized(60, smoke=1)
_ROWS_OF_FILES, _ROWS_OF_DRIFTED = (200, 20_000), 1000

Columns = Mapping[str, ColumnProfile]


@dataclass(frozen=True)
class Pair:
    """Two windows with a known answer."""

    case: str
    is_drift: bool
    changed: tuple[str, ...]
    reference: Columns
    current: Columns


def pairs(folder: Path = DATA / "drift") -> Iterator[Pair]:
    """Yield the pairs of the data folder as profiles."""
    for case in json.loads((folder / "manifest.json").read_text()):
        rows = [_read(folder / case[side]) for side in ("reference", "current")]
        left_out = {case["target"], *case["ignore_columns"]}
        frame, values = _columns(rows, case["text_column"], left_out)
        reference, current = (frame.profile(side) for side in values)
        changed = tuple(name for name in case["columns_changed"] if name in reference)
        yield Pair(case["case"], case["expected"] == "drift", changed, reference, current)


def drifted(reference: Columns, current: Columns) -> set[str]:
    """Return the columns that the default policy calls drifted."""
    findings = check_columns(reference, current, effects=MONITORING.effects, alpha=MONITORING.alpha)
    return {finding.column for finding in findings if finding.is_drifted}


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def _number(cell: str | None) -> float | None:
    try:
        return float(cell or "")
    except ValueError:
        return None


def _columns(
    rows: Sequence[Sequence[Mapping[str, str]]], text: str | None, left_out: set[str | None]
) -> tuple[Frame, list[dict[str, list[Any]]]]:
    """Return the frame of the first rows and the columns' values of both, as the steps do."""
    shapes: dict[str, FrameColumn] = {}
    values: list[dict[str, list[Any]]] = [{}, {}]
    for name in rows[0][0]:
        if name in left_out:
            continue
        cells = [[row.get(name) or None for row in side] for side in rows]
        if name == text:
            words = watched_words(cell for cell in cells[0] if cell)
            observer = TextObserver({name: words})
            for side, column in zip(values, cells, strict=True):
                signals = [observer.observe({name: cell}).get(name) for cell in column]
                side |= {
                    f"{name}: {part}": [s and getattr(s, part) for s in signals] for part in _PARTS
                }
            shapes |= {
                f"{name}: {part}": FrameColumn("number", number_edges(
                    [v for v in values[0][f"{name}: {part}"] if v is not None]))
                for part in _PARTS[:-1]
            }  # fmt: skip
            shapes[f"{name}: terms"] = FrameColumn("terms", words)
            continue
        numbers = [[_number(cell) for cell in column] for column in cells]
        known = [value for value in numbers[0] if value is not None]
        filled = sum(cell is not None for cell in cells[0])
        if len(known) >= _NUMERIC_SHARE * filled and len(set(known)) > _FEW:
            shapes[name] = FrameColumn("number", number_edges(known))
            chosen: Sequence[list[Any]] = numbers
        else:
            shapes[name] = FrameColumn("levels", frequent_levels(cell for cell in cells[0] if cell))
            chosen = cells
        for side, column in zip(values, chosen, strict=True):
            side[name] = column
    return Frame(shapes), values


def _pools() -> Iterator[tuple[dict[str, Any], list[dict[str, str]]]]:
    """Yield each case without drift, with the rows of both its windows."""
    for case in json.loads((DATA / "drift" / "manifest.json").read_text()):
        if case["expected"] != "drift":
            sides = ("reference", "current")
            yield case, [row for side in sides for row in _read(DATA / "drift" / case[side])]


def _halved(
    case: Mapping[str, Any], pool: Sequence[Mapping[str, str]], seed: int
) -> tuple[Frame, list[dict[str, list[Any]]]]:
    """Return the frame of one random half, and the columns' values of both."""
    order = np.random.default_rng(seed).permutation(len(pool))
    cut = len(pool) // 2
    halves = [[pool[i] for i in part] for part in (order[:cut], order[cut:])]
    return _columns(halves, case["text_column"], {case["target"], *case["ignore_columns"]})


def halvings(console: Console) -> dict[str, int]:
    """Return the false alarms of each pool without drift, over 100 random halvings."""
    found = {}
    for case, pool in _pools():
        halves = (_halved(case, pool, seed) for seed in range(_HALVINGS))
        found[case["case"]] = sum(
            bool(drifted(*(frame.profile(side) for side in values))) for frame, values in halves
        )
    shown = ", ".join(f"{name} {n}" for name, n in found.items())
    console.print(f"false alarms in {_HALVINGS} random halvings: {shown}")
    return found


def files(console: Console) -> dict[str, Any]:
    """Return how often files are called drifted, each judged alone, as one batch is.

    Of each pool without drift a file is drawn from one half of the rows and compared with the
    other: of 200 rows, and of 20,000 or all that the half has (rows drawn twice would look like
    evidence). Of each pair with drift a file of 1,000 rows is drawn from its later window.
    """
    alarms: dict[str, dict[str, int]] = {}
    for case, pool in _pools():
        counts = alarms[case["case"]] = {str(n): 0 for n in _ROWS_OF_FILES}
        for seed in range(_FILES):
            frame, (then, now) = _halved(case, pool, seed)
            reference = frame.profile(then)
            for n in _ROWS_OF_FILES:
                counts[str(n)] += bool(drifted(reference, frame.profile(_drawn(now, n, seed))))
    missed = [
        case for case, frame, (then, now) in _drifting()
        if not drifted(frame.profile(then), frame.profile(_drawn(now, _ROWS_OF_DRIFTED, 0)))
    ]  # fmt: skip
    for n in _ROWS_OF_FILES:
        shown = ", ".join(f"{name} {counts[str(n)]}" for name, counts in alarms.items())
        console.print(f"false alarms in {_FILES} files of {n} rows a pool: {shown}")
    console.print(f"pairs with drift that one file of {_ROWS_OF_DRIFTED} rows misses: {missed}")
    return {"n_files": _FILES, "alarms": alarms, "missed": missed}


def _drawn(values: Mapping[str, list[Any]], n: int, seed: int) -> dict[str, list[Any]]:
    n_rows = len(next(iter(values.values())))
    places = np.random.default_rng(seed).permutation(n_rows)[:n].tolist()
    return {name: [column[i] for i in places] for name, column in values.items()}


def _drifting() -> Iterator[tuple[str, Frame, list[dict[str, list[Any]]]]]:
    for case in json.loads((DATA / "drift" / "manifest.json").read_text()):
        if case["expected"] == "drift":
            rows = [_read(DATA / "drift" / case[side]) for side in ("reference", "current")]
            left_out = {case["target"], *case["ignore_columns"]}
            yield case["case"], *_columns(rows, case["text_column"], left_out)
