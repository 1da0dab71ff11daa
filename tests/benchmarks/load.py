"""`make bench-load`: sixteen clients at the local stack; are all answered, logged, and let go of.

The app is deployed on an emulator of its own and trained on the sample of `housing`. What counts is
what an emulator on a laptop must not do: leave a request or a record of the log unanswered, start
a process for each request, or keep what it took.
"""

import gzip
import json
import os
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli.samples.files import sample_files
from cli.target import Target
from cli.training import new_run_id, run_training, upload
from infra.local.limits import PACK_SECONDS
from tests.benchmarks.report import Result, publish
from tests.benchmarks.size import results_file
from tests.support.stages import deployed_stage

_CLIENTS, _REQUESTS, _IDLE_SECONDS = 16, 2_000, 150.0
_LOG_SECONDS = 300.0
_TOO_MANY, _PAUSE_SECONDS = 429, 0.2
_PROJECT = "housing"
_ROW = {
    "CRIM": 0.02, "ZN": 18, "INDUS": 2.3, "CHAS": 0, "NOX": 0.538, "RM": 6.575, "AGE": 65.2,
    "DIS": 4.09, "RAD": 1, "TAX": 296, "PTRATIO": 15.3, "B": 396.9, "LSTAT": 4.98,
}  # fmt: skip
_MOST_PROCESSES, _KEPT = 80, 1.3  # of the memory before


@dataclass(frozen=True)
class Loaded:
    """What a load did."""

    n_answered: int
    n_sent: int
    n_logged: int
    n_doubled: int  # records of the log whose id was there already
    seconds: float


@dataclass(frozen=True)
class Held:
    """What an emulator and its functions hold."""

    n_processes: int
    n_bytes: int  # resident


def load(target: Target, project: str, row: Mapping[str, Any], clients: int, each: int) -> Loaded:
    """Send rows from several clients at once, and wait until the log has all that were answered."""
    time.sleep(4 * PACK_SECONDS)  # what was sent before is in the log
    before, started = len(_logged(target, project)), time.monotonic()
    key = target.api_key("user")
    with ThreadPoolExecutor(clients) as pool:
        answered = [*pool.map(lambda _: _client(target, key, project, row, each), range(clients))]
    seconds, n_answered = time.monotonic() - started, sum(answered)
    deadline = time.monotonic() + _LOG_SECONDS
    while len({*(ids := _logged(target, project)[before:])}) < n_answered:
        if time.monotonic() > deadline:
            break
        time.sleep(PACK_SECONDS)
    n_logged = len({*ids})
    return Loaded(n_answered, clients * each, n_logged, len(ids) - n_logged, seconds)


def _client(target: Target, key: str, project: str, row: Mapping[str, Any], each: int) -> int:
    address = urlsplit(f"{target.api_url}/projects/{project}/predict")
    connection = HTTPConnection(str(address.hostname), address.port, timeout=120)
    headers = {"x-api-key": key, "content-type": "application/json"}
    body, n = json.dumps({"inputs": row}), 0
    for _ in range(each):
        status = _TOO_MANY
        while status == _TOO_MANY:  # the plan of the key limits requests a second
            connection.request("POST", address.path, body, headers)
            answer = connection.getresponse()
            status, said = answer.status, json.loads(answer.read())
            time.sleep(_PAUSE_SECONDS if status == _TOO_MANY else 0.0)
        n += status == 200 and "prediction" in said
    return n


def _logged(target: Target, project: str) -> list[str]:
    """Return the prediction ids in the log."""
    ids = []
    for found in target.artifacts.under(f"predictions/{project}/"):
        body = target.artifacts.get(found.key)
        lines = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).splitlines()
        ids += [json.loads(line)["prediction_id"] for line in lines]
    return ids


def held(folder: Path) -> Held:
    """Return what the emulator of a folder holds, with the workers of its functions."""
    n, pages = 0, 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (path / "cmdline").read_bytes():
                pages += int((path / "statm").read_text(encoding="ascii").split()[1])
                n += 1
        except OSError:
            continue
    return Held(n, pages * os.sysconf("SC_PAGE_SIZE"))


def main() -> None:
    """Deploy, train, load, wait; print and write `build/load.json`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with deployed_stage(folder) as target:
            _train(target)
            load(target, _PROJECT, _ROW, 1, 20)
            before, watched = held(folder), []
            with ThreadPoolExecutor(1) as pool:
                running = pool.submit(load, target, _PROJECT, _ROW, _CLIENTS, _REQUESTS)
                while not running.done():
                    watched.append(held(folder))
                    time.sleep(1.0)
            done = running.result()
            print(f"{done.n_sent:,} requests in {done.seconds:.0f} s", flush=True)
            time.sleep(_IDLE_SECONDS)
            after = held(folder)
    most = max(watched, key=lambda one: one.n_bytes)
    publish(
        [
            Result.within("requests not answered", "", done.n_sent - done.n_answered, 0),
            Result.within("answers not in the log", "", done.n_answered - done.n_logged, 0),
            Result.within("records twice in the log", "", done.n_doubled, 0),
            Result.within("processes", "", max(one.n_processes for one in watched), _MOST_PROCESSES),
            Result.within("memory at most", "bytes", most.n_bytes, 8e9),
            Result.within(
                "memory two minutes later", "bytes", after.n_bytes, _KEPT * before.n_bytes,
                ("before", before.n_bytes),
            ),
            Result.within("an answer, in turn", "s", done.seconds / done.n_sent, 0.1),
        ],
        results_file("load.json"),
    )  # fmt: skip


def _train(target: Target) -> None:
    keys = upload(target, _PROJECT, [*sample_files(_PROJECT)])
    end = run_training(target, _PROJECT, keys, new_run_id(), lambda *_: None)
    if end.output.get("outcome") != "ChallengerPromoted":
        raise RuntimeError(f"no champion to load: {end.output}")


if __name__ == "__main__":
    main()
