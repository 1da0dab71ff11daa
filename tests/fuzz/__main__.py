"""`make fuzz`: every part at full size, with its figures: build/fuzz.json."""

import json
import time
from collections.abc import Callable
from typing import Any

from infra.names import ROOT
from tests.fuzz import bundles, events, files, schedules

_SEED = 2026
_PARTS: dict[str, tuple[Callable[[int, int], Any], int]] = {
    "events": (events.run, 100_000),
    "bundles": (bundles.run, 3_000),
    "files": (files.run, 1_000),
    "schedules": (schedules.run, 20_000),
}


def main() -> None:
    """Run all parts; the first fault ends with its case and seed."""
    found: dict[str, Any] = {}
    for name, (run, n) in _PARTS.items():
        started = time.monotonic()
        print(f"{name}: {n:,} cases, seed {_SEED}", flush=True)
        tally = vars(run(n, _SEED))
        found[name] = {**tally, "seconds": round(time.monotonic() - started, 1)}
        print(f"  {json.dumps(found[name])}", flush=True)
    path = ROOT / "build" / "fuzz.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}; no fault")


if __name__ == "__main__":
    main()
