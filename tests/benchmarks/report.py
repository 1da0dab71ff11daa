"""Results of a benchmark: a table for people, a JSON list for machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Result:
    """One measurement against its goal."""

    name: str
    value: float
    unit: str
    peer: str | None
    peer_value: float | None
    ratio: float | None  # value / peer_value
    goal: float  # of the ratio, or of the value where there is no ratio
    holds: bool

    @classmethod
    def against(
        cls, name: str, unit: str, values: tuple[float, float], peer: str, goal: float
    ) -> "Result":
        """Return (ours, peer's) judged by their ratio."""
        ours, theirs = values
        ratio = ours / theirs
        return cls(name, ours, unit, peer, theirs, ratio, goal, ratio <= goal)

    @classmethod
    def within(
        cls,
        name: str,
        unit: str,
        value: float,
        goal: float,
        peer: tuple[str, float] | None = None,
    ) -> "Result":
        """Return a value judged by an upper bound; a peer is shown beside it."""
        who, theirs = peer or (None, None)
        ratio = value / theirs if theirs else None
        return cls(name, value, unit, who, theirs, ratio, goal, value <= goal)


def publish(results: Sequence[Result], path: Path) -> None:
    """Print the results and write them to `path`."""
    table = Table(title=str(path.name))
    for column in ("name", "value", "peer", "ratio", "goal", "holds"):
        table.add_column(column, justify="left" if column == "name" else "right")
    for r in results:
        shown = [
            _shown(r.value, r.unit),
            "" if r.peer_value is None else _shown(r.peer_value, r.unit),
        ]
        ratio = "" if r.ratio is None else f"{r.ratio:.3f}"
        goal = f"{r.goal:g}" if r.unit in ("s", "relative") else _shown(r.goal, r.unit)
        table.add_row(r.name, *shown, ratio, goal, "yes" if r.holds else "NO")
    Console(width=110).print(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    print(
        f"wrote {path.name}; {sum(not r.holds for r in results)} of {len(results)} miss their goal"
    )


def _shown(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB"
    if unit == "s":
        return f"{value * 1e3:.3g} ms"
    return f"{value:.3g}"
