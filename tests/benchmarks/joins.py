"""`make bench-joins`: a million reviews joined to their authors and businesses, in bounded memory.

The files lie on disk; one child process prepares the messages dataset from them as the deployed
step does. Reported are rows per second and the peak memory of that process.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from cli.samples.messages import sample_messages
from infra.config import ROOT, SPECS
from noria.spec.loader import load_project
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from tests.benchmarks.report import Result, publish
from tests.benchmarks.size import results_file, sized
from tests.support.fakes import MemoryArtifacts

_N_ROWS = sized(1_000_000, smoke=2_000)
_SAMPLE = sized(20_000, smoke=2_000)  # reviews that are written again under other keys
_LIMIT_BYTES = 1e9


class _Folder(MemoryArtifacts):
    """Sources from a folder, everything else in memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def open(self, key: str) -> BinaryIO:
        return (self._folder / Path(key).name).open("rb")


def main() -> None:
    """Write the files, join them in a child, print and write `build/joins.json`."""
    with tempfile.TemporaryDirectory() as folder:
        n_bytes = _write(Path(folder))
        command = [sys.executable, "-m", "tests.benchmarks.joins", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{found['n_records']:,} reviews ({n_bytes / 1e6:,.0f} MB) in {found['seconds']:.0f} s: "
        f"{found['n_records'] / found['seconds']:,.0f} a second; {found['n_rows']:,} rows kept"
    )
    peak = Result.within("peak memory", "bytes", found["peak_rss_bytes"], _LIMIT_BYTES)
    publish([peak], results_file("joins.json"))


def _write(folder: Path) -> int:
    """Write reviews in time order and tables with a tenth and a fortieth as many rows."""
    reviews, users, businesses = sample_messages(_SAMPLE)
    n_users, n_businesses = _N_ROWS // 10, _N_ROWS // 40
    for name, key, rows, n_rows in (
        ("user", "user_id", users, n_users),
        ("business", "business_id", businesses, n_businesses),
    ):
        with (folder / f"{name}.jsonl").open("w") as file:
            for number in range(n_rows):
                row = rows[number % len(rows)] | {key: f"{name}{number}"}
                file.write(json.dumps(row) + "\n")
    with (folder / "review.jsonl").open("w") as file:
        for number in range(_N_ROWS):
            review = reviews[number * _SAMPLE // _N_ROWS] | {
                "review_id": f"r{number}",
                "user_id": f"user{number * 7919 % n_users}",
                "business_id": f"business{number * 104729 % n_businesses}",
                "text": f"{reviews[number % _SAMPLE]['text']} ({number})",
            }
            file.write(json.dumps(review) + "\n")
    return sum(path.stat().st_size for path in folder.iterdir())


def _prepare(folder: Path) -> None:
    """Prepare the dataset in this process and print what it took."""
    artifacts, started = _Folder(folder), time.monotonic()
    request = PrepareDatasetRequest("messages", "run", tuple(sorted(map(str, folder.iterdir()))))
    spec = load_project("messages", SPECS)
    result = prepare_dataset(request, spec=spec, artifacts=artifacts)
    report = json.loads(artifacts.get(result.report_key))
    document = {
        "seconds": time.monotonic() - started,
        "n_records": report["n_records"],
        "n_rows": result.n_train + result.n_test,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _prepare(Path(sys.argv[1]))
    else:
        main()
