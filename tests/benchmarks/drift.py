"""Drift: the real pairs, false alarms and detection delay beside the usual rules, ten million rows.

`make bench-drift` prints what it finds and writes `build/drift.json`.
"""

import gzip
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from infra.names import ROOT
from noria.monitoring.checks import check_columns
from noria.monitoring.evidence import Observation, Policy, accumulated, of_window
from noria.monitoring.profiles import Frame, FrameColumn, number_edges
from noria.records.drift import CheckedWindow, Suspicions
from tests.benchmarks.drift_pairs import MONITORING, Columns, drifted, files, halvings, pairs
from tests.benchmarks.size import results_file, sized

_POLICY = Policy(MONITORING.alpha, MONITORING.windows_in_a_row)
_HOURS, _MONTHS = sized((720, 6), smoke=(30, 1))
_COLUMNS, _WORLDS = 20, sized(50, smoke=2)
_LOGS = sized(((1000, 1000), (10_000, 100), (10_000, 1000)), smoke=((10, 100),))


def _usual(reference: Columns, current: Columns) -> dict[str, bool]:
    """Return what the usual rules say of a window."""
    findings = check_columns(reference, current, effects={}, alpha=0.05)
    p = [f.p_value for f in findings if f.statistic in ("ks", "chi_square")]
    psi = [f.effect for f in findings if f.statistic == "psi"]
    flagged = [value is not None and value < 0.05 for value in p]
    return {
        "any p < .05": any(flagged),
        "any PSI > 0.1": any(value > 0.1 for value in psi),
        "share of p < .05 above .5": sum(flagged) > 0.5 * len(flagged),
    }


def _windows(seed: int, n_rows: int, shift: float) -> tuple[Columns, Iterator[Columns]]:
    rng = np.random.default_rng(seed)
    names = [f"f{i}" for i in range(_COLUMNS)]
    rows = {name: rng.normal(size=5000) for name in names}
    frame = Frame(
        {
            name: FrameColumn("number", number_edges(values.tolist()))
            for name, values in rows.items()
        }
    )

    def hours() -> Iterator[Columns]:
        while True:
            yield frame.profile(
                {n: rng.normal(shift if i < 3 else 0.0, size=n_rows) for i, n in enumerate(names)}
            )

    return frame.profile(rows), hours()


def _first_alarm(
    seed: int, n_rows: int, shift: float, n_hours: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Return, for each rule, its alarms over the hours and the hour of the first."""
    reference, hours = _windows(seed, n_rows, shift)
    alarms: dict[str, int] = {}
    first: dict[str, int] = {}
    suspicions = Suspicions()
    day: list[Columns] = []
    was_on: dict[str, bool] = {}
    for number in range(1, n_hours + 1):
        current = next(hours)
        day = [*day, current][-24:]
        observed: dict[str, Observation] = {}
        for name, window in (("short", current), ("long", _merged(day))):
            findings = check_columns(
                reference, window, effects=MONITORING.effects, alpha=_POLICY.alpha
            )
            checked = CheckedWindow(n_rows, True, tuple(findings))
            observed |= {f"{name}|{o.finding.name}": o for o in of_window(checked, _POLICY, "")}
        suspicions, confirmed, _ = accumulated(
            suspicions, observed, _POLICY, model_version="v", at=str(number), is_new=True
        )
        called = {"Noria": bool(confirmed)}
        called |= _usual(reference, current)
        for rule, is_on in called.items():
            alarms[rule] = alarms.get(rule, 0) + (is_on and not was_on.get(rule, False))
            if is_on:
                first.setdefault(rule, number)
        was_on = called
    return alarms, first


def _merged(profiles: Sequence[Columns]) -> Columns:
    total: dict[str, Any] = {}
    for profile in profiles:
        for name, column in profile.items():
            if name not in total:
                total[name] = type(column)(column.edges, column.counts * 0)  # type: ignore[union-attr,arg-type]
            total[name].add(column)
    return total


def _measure_pairs(table: Table) -> list[dict[str, Any]]:
    found = []
    for pair in pairs():
        names = drifted(pair.reference, pair.current)
        usual = _usual(pair.reference, pair.current)
        missed = sorted(set(pair.changed) - names)
        is_right = bool(names) == pair.is_drift
        found.append({"case": pair.case, "is_right": is_right, "drifted": sorted(names),
                      "missed_columns": missed, "usual": usual})  # fmt: skip
        table.add_row(
            pair.case,
            "drift" if pair.is_drift else "none",
            f"{'drift' if names else 'none'} ({len(names)} of {len(pair.reference)})",
            "yes" if is_right else "NO",
            *("drift" if value else "none" for value in usual.values()),
        )
    return found


def _child(*arguments: str) -> dict[str, float]:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.drift", *arguments],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(do: Callable[[], Any]) -> None:
    started = time.perf_counter()
    do()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_bytes": peak}))


def _chunk(rng: np.random.Generator, n: int) -> dict[str, Any]:
    return {f"f{i}": rng.normal(size=n) for i in range(_COLUMNS)}


def _write_log(folder: Path, n_chunks: int, n_rows: int) -> None:
    """Write chunks as the log has them (rows) and as their profiles."""
    rng = np.random.default_rng(0)
    reference = _chunk(rng, 5000)
    frame = Frame(
        {name: FrameColumn("number", number_edges(v.tolist())) for name, v in reference.items()}
    )
    (folder / "frame.json").write_text(json.dumps(frame.to_dict()))
    np.savez(folder / "reference.npz", allow_pickle=False, **reference)
    for number in range(n_chunks):
        rows = _chunk(rng, n_rows)
        data = {name: p.to_dict() for name, p in frame.profile(rows).items()}
        body = gzip.compress(json.dumps(data).encode(), 1)
        (folder / f"profile-{number:05d}.json.gz").write_bytes(body)
        np.save(folder / f"rows-{number:05d}.npy", np.column_stack(list(rows.values())))


def check_profiles(folder: Path) -> None:
    """Merge all profiles and check them: what a monitoring check does."""
    frame = Frame.from_dict(json.loads((folder / "frame.json").read_text()))
    with np.load(folder / "reference.npz") as parts:
        reference = frame.profile({name: parts[name] for name in parts})
    total = frame.profile({})
    for path in sorted(folder.glob("profile-*")):
        for name, column in frame.read(json.loads(gzip.decompress(path.read_bytes()))).items():
            total[name].add(column)  # type: ignore[arg-type]
    check_columns(reference, total, effects=MONITORING.effects, alpha=_POLICY.alpha)


def check_rows(folder: Path) -> None:
    """Read all rows and test them exactly: the usual way."""
    from scipy.stats import ks_2samp

    with np.load(folder / "reference.npz") as parts:
        reference = {name: parts[name] for name in parts}
    rows = np.concatenate([np.load(path) for path in sorted(folder.glob("rows-*"))])
    for number, values in enumerate(reference.values()):
        ks_2samp(values, rows[:, number])


def main() -> None:
    """Measure everything and write `build/drift.json`."""
    import tempfile

    console, results = Console(width=150), dict[str, Any]()
    table = Table(title="Pairs with known answers")
    for column in ("case", "truth", "Noria", "right", "any p < .05", "any PSI > 0.1", "share > .5"):
        table.add_column(column)
    results["pairs"] = _measure_pairs(table)
    console.print(table)
    results["halves"] = halvings(console)
    results["files"] = files(console)
    results["false_alarms"] = _false_alarms(console)
    results["delay"] = _delays(console)
    with tempfile.TemporaryDirectory() as name:
        results["ten_million"] = _large(Path(name), console)
    results_file("drift.json").write_text(json.dumps(results, indent=2) + "\n")
    wrong = [pair["case"] for pair in results["pairs"] if not pair["is_right"]]
    print(f"wrote drift.json; {len(wrong)} pairs wrong {wrong or ''}")


def _false_alarms(console: Console) -> dict[str, int]:
    total: dict[str, int] = {}
    for month in range(_MONTHS):
        for rule, n in _first_alarm(month, 200, 0.0, _HOURS)[0].items():
            total[rule] = total.get(rule, 0) + n
    table = Table(
        title=f"Alarms without drift: {_MONTHS} models x {_HOURS} hours x {_COLUMNS} columns"
    )
    table.add_column("rule")
    table.add_column("alarms", justify="right")
    for rule, n in total.items():
        table.add_row(rule, str(n))
    console.print(table)
    return total


def _delays(console: Console) -> dict[str, Any]:
    found = [_first_alarm(1000 + seed, 500, 0.3, 12)[1] for seed in range(_WORLDS)]
    table = Table(
        title=f"0.3 deviations on 3 of {_COLUMNS} columns, 500 rows per hour, {_WORLDS} worlds"
    )
    for column in ("rule", "found within 3 windows", "median window"):
        table.add_column(column)
    results = {}
    for rule in ("Noria", *_usual({}, {})):
        hours = [first.get(rule, 99) for first in found]
        within = sum(hour <= 3 for hour in hours) / len(hours)
        median = float(np.median(hours))
        results[rule] = {"within_three_windows": within, "median_window": median}
        table.add_row(rule, f"{within:.0%}", "not in 12" if median > 12 else f"{median:.0f}")
    console.print(table)
    return results


def _large(folder: Path, console: Console) -> dict[str, Any]:
    table = Table(title="A drift check of the log: profiles beside reading all rows")
    for column in ("rows", "chunks", "profiles s", "profiles MB", "rows s", "rows MB"):
        table.add_column(column, justify="right")
    results = {}
    for n_chunks, n_rows in _LOGS:
        place = folder / f"{n_chunks}-{n_rows}"
        place.mkdir()
        _write_log(place, n_chunks, n_rows)
        ours, theirs = (_child(kind, str(place)) for kind in ("profiles", "rows"))
        results[f"{n_chunks} x {n_rows}"] = {"profiles": ours, "rows": theirs}
        table.add_row(
            f"{n_chunks * n_rows:,}", f"{n_chunks:,}", f"{ours['seconds']:.1f}",
            f"{ours['peak_bytes'] / 1e6:.0f}", f"{theirs['seconds']:.1f}",
            f"{theirs['peak_bytes'] / 1e6:.0f}",
        )  # fmt: skip
    console.print(table)
    return results


if __name__ == "__main__":
    if len(sys.argv) == 3:
        work = {"profiles": check_profiles, "rows": check_rows}[sys.argv[1]]
        _measured(lambda: work(Path(sys.argv[2])))
    else:
        main()
