"""Corrupt bundles with right hashes: none is served as if it were whole, none hangs or crashes."""

import json
import signal
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from random import Random
from typing import Any

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, TYPECODES
from noria.errors import ModelError
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from noria.storage.hashing import canonical_json, sha256_hex
from noria.storage.keys import model_key
from tests.fuzz.projects import PROJECTS, World, event, promote, world
from tests.fuzz.values import mutated

_SECONDS = 20  # that one bundle may take to be loaded and to answer
_REQUESTS = 8
_NAMES = ("", "x", "kind", "$array")  # of fields that are added

Files = Mapping[str, bytes]


class HangError(BaseException):
    """A bundle takes too long; no exception, so that nothing takes it for the bundle's fault."""


@dataclass
class Tally:
    """What became of the bundles."""

    n: int = 0
    n_not_promoted: int = 0  # no promotion takes them
    n_refused: int = 0  # the previous champion answered
    n_served: int = 0
    n_spared: int = 0  # served, and the previous champion answered where it failed


def run(n: int, seed: int) -> Tally:
    """Corrupt `n` bundles, promote each, and ask a new process of predict.

    Raises
    ------
    AssertionError
        An answer is an error of the server's.
    HangError
        It took longer than `_SECONDS`.
    """
    rng, tally = Random(seed), Tally()
    start = world()
    good = {project: start.aliases.read(project).champion for project in PROJECTS}
    for number in range(n):
        project, made = rng.choice(PROJECTS), start.copied()
        version = f"corrupt-{number}"
        files = _files(made, project, str(good[project]))
        write_version(made.artifacts, project, version, corrupted(files, rng), VersionFacts())
        try:
            promote(made, project, version)  # as `noria promote` does it
        except ModelError:
            # Whoever can write to the table can point at it all the same.
            tally.n_not_promoted += 1
            promote(made, project, version, is_verified=False)
        what = f"case {number} of seed {seed}, {project}"
        with in_time(what), redirect_stdout(StringIO()), redirect_stderr(StringIO()) as log:
            answer = made.handler()
            versions = set()
            for path, body in _requests(rng, made, project):
                got = answer(event("POST" if body else "GET", path, project, body), None)
                status = got["statusCode"]
                assert status < 500, f"{what}: {status} {got['body'][:300]}\n{log.getvalue()}"
                if status == 200 and "prediction" in (document := json.loads(got["body"])):
                    versions.add(document["model_version"])
        tally.n += 1
        tally.n_refused += versions == {good[project]}
        tally.n_served += version in versions
        tally.n_spared += versions == {good[project], version}
    return tally


def corrupted(files: Files, rng: Random) -> dict[str, bytes]:
    """Return a bundle with one to three parts changed and every hash right."""
    document, body = json.loads(files[BUNDLE_FILE]), bytearray(files[ARRAYS_FILE])
    for _ in range(rng.choice([1, 1, 2, 3])):
        if rng.random() < 0.4:
            _change_array(document["arrays"], body, rng)
        else:
            document = mutated(document, rng, _anything, _NAMES)
            if not isinstance(document, dict) or not isinstance(document.get("arrays"), dict):
                document = json.loads(files[BUNDLE_FILE])
    document["arrays_sha256"] = sha256_hex(bytes(body))
    return {BUNDLE_FILE: canonical_json(document), ARRAYS_FILE: bytes(body)}


def _files(made: World, project: str, version: str) -> Files:
    names = (BUNDLE_FILE, ARRAYS_FILE)
    return {name: made.artifacts.get(model_key(project, version, name)) for name in names}


def _requests(rng: Random, made: World, project: str) -> Iterator[tuple[str, str | None]]:
    yield "/health", None
    yield "/projects/{project}/model", None
    for row in rng.sample(made.rows[project], _REQUESTS):
        yield "/projects/{project}/predict", json.dumps({"inputs": row, "explain": True})
    yield "/projects/{project}/predict", json.dumps({"inputs": {}})


def _change_array(directory: Mapping[str, Any], body: bytearray, rng: Random) -> None:
    """Overwrite some numbers of one array in place."""
    entries = [e for e in directory.values() if isinstance(e, dict) and e.get("length")]
    if not entries:
        return
    entry = rng.choice(entries)
    code = TYPECODES.get(str(entry.get("dtype")), "B")
    size = array(code).itemsize
    for _ in range(rng.choice([1, 3, 50])):
        if code in "df":
            number = rng.choice([0.0, -1.0, 1e308, -1e308, float("nan"), float("inf"), 5e-324])
        elif code == "i":
            number = rng.choice([-1, 0, 1, 2, 17, 2**31 - 1, -(2**31), rng.randrange(500)])
        else:
            number = rng.randrange(256)
        if code == "f":
            number = max(min(number, 3e38), -3e38)
        try:
            start = int(entry["offset"]) + size * rng.randrange(int(entry["length"]))
        except (TypeError, ValueError, KeyError):
            return
        piece = array(code, [number]).tobytes()
        if 0 <= start <= len(body) - size:
            body[start : start + size] = piece


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _anything(rng: Random) -> Any:
    return rng.choice(
        [
            None,
            True,
            0,
            -1,
            1,
            3,
            10**6,
            2**63,
            0.5,
            -1e308,
            1e308,
            "",
            "x",
            "ñ",
            [],
            {},
            [0],
            {"a": 1},
            _nested(400),
            ["a", "b"],
            "softmax",
            "identity",
            "trees",
            "linear",
            "number",
        ]
    )


@contextmanager
def in_time(what: str) -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise HangError(f"{what}: not done after {_SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
