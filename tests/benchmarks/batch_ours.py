"""Our side of `make bench-batch`: the batch job's steps over a folder, in a process of their own."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from infra.names import ROOT
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.columnar.models import BatchModels
from noria.ports import StoredObject
from noria.records.alias import Promotion
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from noria.spec.loader import load_project
from noria.steps.close_batch import CloseBatchRequest, close_batch
from noria.steps.plan_batch import PlanBatchRequest, plan_batch
from noria.steps.score_part import ScorePartRequest, score_part
from noria.storage.keys import REFERENCE
from noria_aws.aws.clock import SystemClock
from tests.support.fakes import MemoryAliases, MemoryState

PROJECTS = ROOT / "layers" / "projects" / "python" / "projects"
FOLDER = ROOT / "build" / "batch"


def source(project: str, n_rows: int) -> Path:
    """Return the file that every side reads."""
    return FOLDER / f"{project}-{n_rows}.csv"


def report(started: float, **more: Any) -> None:
    """Print the seconds since `started` and this process's highest resident memory."""
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes(), **more}))


def peak_bytes() -> int:
    """Return this process's highest resident memory; getrusage's is inherited from the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


class FolderStore:
    """A store over a folder: objects are files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise KeyError(key) from error

    def open(self, key: str) -> BinaryIO:
        return self._path(key).open("rb")

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        if if_absent and self.exists(key):
            return False
        self._path(key).parent.mkdir(parents=True, exist_ok=True)
        self._path(key).write_bytes(body)
        return True

    def put_stream(self, key: str, stream: BinaryIO) -> None:
        self._path(key).parent.mkdir(parents=True, exist_ok=True)
        with self._path(key).open("wb") as out:
            while block := stream.read(1 << 20):
                out.write(block)

    def exists(self, key: str) -> bool:
        return self._path(key).exists()

    def under(self, prefix: str) -> Iterator[StoredObject]:
        for path in sorted((self._folder / prefix).parent.rglob("*")):
            key = str(path.relative_to(self._folder))
            if key.startswith(prefix) and path.is_file():
                found = path.stat()
                yield StoredObject(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def _path(self, key: str) -> Path:
        return self._folder / key


class _TimedModels(BatchModels):
    """The models of a batch, and how long their profilers took in all."""

    def __init__(self, store: FolderStore) -> None:
        super().__init__(store)
        self.profiling_seconds = 0.0

    def profiler(self, project: str, model_version: str) -> Any:
        """Return the profiler, which is timed."""
        return SimpleNamespace(of=partial(self._timed, super().profiler(project, model_version)))

    def _timed(self, profiler: Any, answers: Any) -> Any:
        started = time.perf_counter()
        profile = profiler.of(answers)
        self.profiling_seconds += time.perf_counter() - started
        return profile


def _noria(project: str, candidate: str, n_rows: int, *, is_monitored: bool) -> None:
    if is_monitored:  # on a stage a function of its own, which alone has SciPy in its memory
        from noria.steps.check_batch import CheckBatchRequest, check_batch

    root = FOLDER / "store"
    shutil.rmtree(root, ignore_errors=True)
    store, aliases = FolderStore(root), MemoryAliases()
    files = {
        name: (FOLDER / f"{project}-{candidate}-{name}").read_bytes()
        for name in (BUNDLE_FILE, ARRAYS_FILE, REFERENCE)
    }
    write_version(store, project, "v1", files, VersionFacts())
    aliases.apply(
        Promotion(project, "v1", "v1", 0, "manual", "b", "b", "2026-01-01T00:00:00+00:00")
    )
    spec = load_project(project, PROJECTS)
    # Peers give no inputs back.
    batch = {"monitored": is_monitored, "on_drift": "score", "include_inputs": False}
    spec = spec.model_copy(update={"batch": spec.batch.model_copy(update=batch)})
    key = f"batch-inbox/{project}/j/rows.csv"
    (root / key).parent.mkdir(parents=True)
    (root / key).symlink_to(source(project, n_rows))
    store.put(f"batches/{project}/j/job.json", b'{"filename": "rows.csv"}')
    clock, models = SystemClock(), _TimedModels(store)
    started, started_cpu = time.perf_counter(), time.process_time()
    plan = plan_batch(
        PlanBatchRequest(project, key, "e", "o"),
        spec=spec,
        store=store,
        aliases=aliases,
        clock=clock,
    )
    planned = time.perf_counter()
    for part in range(plan.n_parts):
        score_part(ScorePartRequest(project, "j", part), spec=spec, artifacts=store, models=models)
    scored = time.perf_counter()
    check = None
    if is_monitored:
        here: dict[str, Any] = {"store": store, "aliases": aliases, "state": MemoryState()}
        asked = CheckBatchRequest(project, "j")
        check = check_batch(asked, spec=spec, clock=clock, **here).check
    checked = time.perf_counter()
    request = CloseBatchRequest(project, key, "e", check=check)
    closed = close_batch(request, spec=spec, store=store, clock=clock)
    seconds = {"plan": planned - started, "score": scored - planned, "check": checked - scored}
    cpu = time.process_time() - started_cpu
    profiling = {"profile": models.profiling_seconds}
    report(started, summary=closed.summary, cpu_seconds=cpu, **seconds, **profiling)


if __name__ == "__main__":
    _, side, of, name, rows = sys.argv
    _noria(of, name, int(rows), is_monitored=side == "monitored")
