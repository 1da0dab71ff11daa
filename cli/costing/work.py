"""What one piece of work uses, as `make bench-cost` metered it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.names import ROOT
from noria.records.codec import decode

WORK_FILE = ROOT / "prices" / "work.json"


@dataclass(frozen=True)
class StepWork:
    """What one function did."""

    n: float  # executions
    seconds: float  # of processors of the machine that it was metered on, all executions together
    calls: Mapping[str, float]  # to other services, by action, as roles name them

    def each(self) -> "StepWork":
        """Return what one execution did."""
        calls = {action: number / self.n for action, number in self.calls.items()}
        return StepWork(1.0, self.seconds / self.n, calls)


@dataclass(frozen=True)
class Work:
    """One piece of work: a training, a check, a prediction, a row of a file."""

    transitions: float
    steps: Mapping[str, StepWork]  # by function, as in `lambdas/`


@dataclass(frozen=True)
class MeteredWork:
    """All kinds of work, and when they were metered."""

    measured_at: str
    commit: str
    machine: str
    work: Mapping[str, Work]


def read_work(path: Path = WORK_FILE) -> MeteredWork:
    """Return what was metered."""
    return decode(MeteredWork, json.loads(path.read_text(encoding="utf-8")))
