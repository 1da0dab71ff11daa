"""`make bench-spark`: ten million rows, profile and drift, by Spark in a 2 GB driver and by one process.

The rows are customers, resampled and shaken, in fifty Parquet files. Both sides read the same
files with the same model; what they find must be equal to the last bit. `ROWS=0.1` shrinks them.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.local.glue_jobs import missing_spark
from infra.names import ROOT, SPECS
from noria.analysis.rows import RowsAnalyzer, compared
from noria.records.codec import to_bytes
from noria.spec.loader import load_project
from tests.benchmarks.report import Result, publish
from tests.benchmarks.size import results_file, sized
from tests.support.analyzed import AnalyzedModel

ANALYSIS = "profile and drift"
_N_FILES, _ROWS_A_FILE, _BATCH = sized((50, 200_000, 20_000), smoke=(2, 2_000, 1_000))
N_ROWS = _N_FILES * _ROWS_A_FILE
_MOST_OVERHEAD = 2.0  # of Spark on the cores that one process has too
_MOVED = "ingreso_mensual"
_DRIVER = "--master local[2] --driver-memory 2g --conf spark.ui.enabled=false pyspark-shell"


def main() -> None:
    """Write the rows, let both sides look at them, compare."""
    if reason := missing_spark():
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = AnalyzedModel(
            load_project("customers", SPECS), "logistic_regression", sized(6000, smoke=1500)
        )
        (folder / "model").write_bytes(pickle.dumps((model.spec, model.files)))
        n_rows = _write(model, folder / "rows")
        print(f"{n_rows:,} rows in {_N_FILES} files, {_size(folder / 'rows') / 1e6:.0f} MB")
        own, spark = (_child(side, folder) for side in ("one", "spark"))
        found = [(folder / f"{side}.json").read_bytes() for side in ("one", "spark")]
        assert found[0] == found[1], "the two sides differ"
        finding = json.loads(found[0])
        assert _MOVED in finding["drifted"]
        assert (finding["n_rows"], finding["n_refused"]) == (n_rows, 0)
        print(f"equal to the last bit: {finding['verdict']}, {', '.join(finding['drifted'])}")
        print(f"one process: {n_rows / own['seconds']:,.0f} rows/s, {own['peak'] / 1e6:.0f} MB")
        print(
            f"Spark on two cores: {n_rows / spark['seconds']:,.0f} rows/s; java {spark['java'] / 1e6:.0f} MB, "
            f"the driver's Python {spark['peak'] / 1e6:.0f} MB, the greatest worker {spark['worker'] / 1e6:.0f} MB"
        )
        seconds = (spark["seconds"], own["seconds"])
        publish(
            [
                Result.against(ANALYSIS, "s", seconds, "one process", _MOST_OVERHEAD),
                Result.within("java, heap of 2 GB", "bytes", spark["java"], 3e9),
                Result.within("greatest Python worker", "bytes", spark["worker"], 1e9),
            ],
            results_file("spark.json"),
        )


def _write(model: AnalyzedModel, folder: Path) -> int:
    """Write rows of the training set, resampled; numbers are shaken, one is moved."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    size = int(_ROWS_A_FILE * float(os.environ.get("ROWS", "1")))
    base = {name: [row[name] for row in model.rows] for name in model.names}
    for number in range(_N_FILES):
        places = rng.integers(0, len(model.rows), size)
        columns: dict[str, Any] = {}
        for name, column in model.spec.dataset.columns.items():
            if column.type == "number":
                values = np.array(base[name], dtype=np.float64)[places]
                is_count = np.nanmax(np.abs(values - np.round(values))) == 0
                shaken = values if is_count else values * rng.normal(1.0, 0.001, size)
                if name == _MOVED:
                    shaken = shaken * 0.7
                low = -np.inf if column.min is None else column.min
                high = np.inf if column.max is None else column.max
                columns[name] = pa.array(np.clip(shaken, low, high), from_pandas=True)
            else:
                columns[name] = pa.array(base[name], pa.string()).take(pa.array(places))
        pq.write_table(pa.table(columns), folder / f"{number:02}.parquet")
    return size * _N_FILES


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _child(side: str, folder: Path) -> dict[str, float]:
    """Run one side in a process of its own; return its seconds and peaks of memory."""
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": _DRIVER,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder),
    }
    command = [sys.executable, "-m", "tests.benchmarks.spark", side, str(folder)]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as child:
        peaks: dict[int, tuple[str, int]] = {}
        watching = threading.Thread(target=_watch, args=(child, peaks))
        watching.start()
        child.wait()
        watching.join()
    if child.returncode:
        raise SystemExit(f"{side} failed")
    others = {pid: peak for pid, peak in peaks.items() if pid != child.pid}
    return {
        "seconds": time.perf_counter() - started,
        "peak": peaks[child.pid][1],
        "java": max((peak for name, peak in others.values() if name == "java"), default=0),
        "worker": max((peak for name, peak in others.values() if name != "java"), default=0),
    }


def _watch(child: subprocess.Popen[bytes], peaks: dict[int, tuple[str, int]]) -> None:
    """Note the greatest resident size of a process and of all below it."""
    while child.poll() is None:
        parents: dict[int, int] = {}
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                lines = dict(
                    line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line
                )
                pid = int(lines["Pid"])
                parents[pid] = int(lines["PPid"])
                size = int(lines.get("VmHWM", "0 kB").split()[0]) * 1024
            except (OSError, ValueError, KeyError):
                continue
            if _is_below(pid, child.pid, parents) or pid in peaks:
                peaks[pid] = (lines["Name"], max(size, peaks.get(pid, ("", 0))[1]))
        time.sleep(0.2)


def _is_below(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid not in (ancestor, 0, 1) and pid in parents:
        pid = parents[pid]
    return pid == ancestor


def _look(side: str, folder: Path) -> None:
    """Be one side: profile the rows, compare them with the reference, write what is found."""
    spec, files = pickle.loads((folder / "model").read_bytes())  # noqa: S301 - written just now
    analyzer = RowsAnalyzer(files)
    if side == "spark":
        from noria_aws.jobs.spark_rows import profile_rows, rows_at, session

        total = profile_rows(rows_at(session("bench"), str(folder / "rows"), spec, files), files)
    else:
        total = analyzer.empty()
        for path in sorted((folder / "rows").iterdir()):
            for batch in pq.ParquetFile(path).iter_batches(_BATCH):
                cells = {
                    name: column.cast(pa.string())
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                }
                total.add(analyzer.profile(cells, batch.num_rows))
    finding = compared(spec, analyzer.reference, total, "v1")
    (folder / f"{side}.json").write_bytes(to_bytes(finding))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _look(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
