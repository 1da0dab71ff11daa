"""How much a benchmark measures: everything, or just enough to run every line of it.

`NORIA_BENCH=smoke` is what the tests set: seconds instead of minutes, the same code, results under
`build/smoke/`. Figures of a smoke mean nothing.
"""

import os
from pathlib import Path

from infra.names import ROOT

IS_SMOKE = os.environ.get("NORIA_BENCH") == "smoke"


def sized[T](full: T, *, smoke: T) -> T:
    """Return a setting of the benchmark, or the smallest one that still runs all of it."""
    return smoke if IS_SMOKE else full


def results_file(name: str) -> Path:
    """Return where a benchmark writes its results; the folder exists."""
    folder = ROOT / "build" / "smoke" if IS_SMOKE else ROOT / "build"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
