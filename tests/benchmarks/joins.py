"""`make bench-joins`: reviews joined to their authors and businesses, in bounded memory.

The files lie on disk. One child process prepares the messages dataset of a million reviews as the
deployed step does; two others score 200,000 of them as a batch, with the tables and as one file
that holds everything, and must give the same answers. Reported are rows per second and the peak
memory of each process.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from cli.samples.messages import sample_messages
from infra.names import ROOT, SPECS
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.columnar.models import BatchModels
from noria.data.joins import Tables
from noria.data.parsing import ByteBudget, read_records
from noria.records.alias import Promotion
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from noria.spec.loader import load_project
from noria.steps.close_batch import CloseBatchRequest, close_batch
from noria.steps.plan_batch import PlanBatchRequest, plan_batch
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.score_part import ScorePartRequest, score_part
from noria.storage.keys import REFERENCE
from noria_aws.aws.clock import SystemClock
from tests.benchmarks.batch_ours import FolderStore, peak_bytes
from tests.benchmarks.report import Result, publish
from tests.benchmarks.size import results_file, sized
from tests.support.analyzed import AnalyzedModel
from tests.support.fakes import MemoryAliases, MemoryArtifacts

_N_ROWS = sized(1_000_000, smoke=2_000)
_SAMPLE = sized(20_000, smoke=2_000)  # reviews that are written again under other keys
_N_SCORED = sized(200_000, smoke=1_000)
_N_TRAINED = sized(1_500, smoke=600)
_LIMIT_BYTES = 1e9
_WITH_TABLES, _JOINED = "reviews", "joined"
_TABLES = ("user.jsonl", "business.jsonl")


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
        place = Path(folder)
        n_bytes = _write(place / "inbox")
        found = _in_a_child("prepare", place)
        _write_batch(place)
        batches = {of: _in_a_child(of, place) for of in (_WITH_TABLES, _JOINED)}
    print(
        f"{found['n_records']:,} reviews ({n_bytes / 1e6:,.0f} MB) in {found['seconds']:.0f} s: "
        f"{found['n_records'] / found['seconds']:,.0f} a second; {found['n_rows']:,} rows kept"
    )
    for name, batch in batches.items():
        print(f"{_N_SCORED:,} {name} scored in {batch['seconds']:.0f} s: {batch['summary']}")
    is_equal = batches[_WITH_TABLES]["answers"] == batches[_JOINED]["answers"]
    publish(
        [
            Result.within("peak memory", "bytes", found["peak_rss_bytes"], _LIMIT_BYTES),
            Result.within(
                "peak memory, batch with tables",
                "bytes",
                batches[_WITH_TABLES]["peak_rss_bytes"],
                _LIMIT_BYTES,
                (_JOINED, batches[_JOINED]["peak_rss_bytes"]),
            ),
            Result.within("answers that differ from the joined file's", "", float(not is_equal), 0),
        ],
        results_file("joins.json"),
    )


def _in_a_child(what: str, folder: Path) -> dict[str, Any]:
    """Run a part in a process of its own; return what it printed last."""
    command = [sys.executable, "-m", "tests.benchmarks.joins", what, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _write(folder: Path) -> int:
    """Write reviews in time order and tables with a tenth and a fortieth as many rows."""
    folder.mkdir()
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
        "peak_rss_bytes": peak_bytes(),
    }
    print(json.dumps(document))


def _write_batch(folder: Path) -> None:
    """Write a model, and the first reviews as they are and joined to their tables."""
    spec = load_project("messages", SPECS)
    for name, body in AnalyzedModel(spec, "logistic_regression", _N_TRAINED).files.items():
        (folder / name).write_bytes(body)
    reviews = folder / f"{_WITH_TABLES}.jsonl"
    with (folder / "inbox" / "review.jsonl").open("rb") as file:
        reviews.write_bytes(b"".join(islice(file, _N_SCORED)))
    budget = ByteBudget(10**12)
    with Tables(spec.dataset.joins) as tables, (folder / f"{_JOINED}.jsonl").open("w") as out:
        for name in _TABLES:
            with (folder / "inbox" / name).open("rb") as table:
                tables.add(name, read_records(table, name, budget))
        with reviews.open("rb") as rows:
            for record in tables.joined(read_records(rows, reviews.name, budget)):
                out.write(json.dumps(record.cells) + "\n")


def _score(folder: Path, of: str) -> None:
    """Score a file as a batch in this process and print what it took."""
    root, spec = folder / "store", load_project("messages", SPECS)
    shutil.rmtree(root, ignore_errors=True)
    store, aliases = FolderStore(root), MemoryAliases()
    files = {name: (folder / name).read_bytes() for name in (BUNDLE_FILE, ARRAYS_FILE, REFERENCE)}
    write_version(store, "messages", "v1", files, VersionFacts())
    at = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    aliases.apply(Promotion("messages", "v1", "v1", 0, "manual", "b", "b", at))
    key = f"batch-inbox/messages/j/{of}.jsonl"
    placed = {key: folder / f"{of}.jsonl"}
    if of == _WITH_TABLES:
        placed |= {f"inbox/messages/1/{name}": folder / "inbox" / name for name in _TABLES}
    for place, path in placed.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(path)
    clock, models, started = SystemClock(), BatchModels(store), time.monotonic()
    plan = plan_batch(
        PlanBatchRequest("messages", key, "e", "o"),
        spec=spec, store=store, aliases=aliases, clock=clock,
    )  # fmt: skip
    assert plan.verdict == "planned", plan.reasons
    for part in range(plan.n_parts):
        request = ScorePartRequest("messages", plan.job_id, part)
        score_part(request, spec=spec, artifacts=store, models=models)
    closed = close_batch(
        CloseBatchRequest("messages", key, "e"), spec=spec, store=store, clock=clock
    )
    assert closed.result_key is not None, closed.summary
    document = {
        "seconds": time.monotonic() - started,
        "summary": closed.summary,
        "answers": sha256(store.get(closed.result_key)).hexdigest(),
        "peak_rss_bytes": peak_bytes(),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "prepare":
        _prepare(Path(sys.argv[2]) / "inbox")
    else:
        _score(Path(sys.argv[2]), sys.argv[1])
