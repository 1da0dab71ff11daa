"""`make bench`: serving measured against a scikit-learn pipeline + pandas loaded with joblib."""

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from infra import bundling
from infra.config import machine
from infra.names import ROOT
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.inference.golden import TOLERANCE
from tests.benchmarks.models import KINDS, Trained, train
from tests.benchmarks.report import Result, publish
from tests.benchmarks.size import results_file, sized
from tests.benchmarks.stores import Stores

_REPEATS = sized(9, smoke=1)
CHILD = Path(__file__).parent / "children.py"
_SITE_PACKAGES = sysconfig.get_path("purelib")
_PEER = "scikit-learn + pandas + joblib"
_AUTHORIZER = 1.0  # of predict's own start, which follows it
_COLD, _HANDLER, _WARM, _WARM_TEXT_BOOSTING, _RSS = 0.05, 0.35, 0.25, 1.0, 40e6


def main() -> None:
    """Train every kind, measure, print the table and write `build/bench.json`."""
    with tempfile.TemporaryDirectory(dir=results_file("bench.json").parent) as scratch:
        folder = Path(scratch)
        layers = built_layers(folder)
        results = list(_sizes(layers))
        serving = ":".join(str(layers[name] / "python") for name in ("noria", "serving_runtime"))
        for kind in sized(list(KINDS), smoke=["text linear"]):
            print(f"… {kind}", flush=True)
            trained = train(kind, folder / "models")
            results += _measured(kind, trained, serving, folder)
        results += _handler(train("text linear", folder / "models"), layers, folder)
    publish(results, results_file("bench.json"))


def _measured(kind: str, trained: Trained, serving: str, folder: Path) -> list[Result]:
    rows = folder / "rows.json"
    rows.write_text(json.dumps(trained.rows))
    ours = ["bundle", serving, str(rows), str(trained.bundle_folder)]
    peer = ["pipeline", _SITE_PACKAGES, str(rows), str(trained.pipeline_file)]
    cold, rss = _cold(ours, peer)
    warm = [_child(arguments, warm=True)[1]["p50_seconds"] for arguments in (ours, peer)]
    goal = _WARM_TEXT_BOOSTING if kind == "text boosting" else _WARM
    tolerance = TOLERANCE[trained.precision]
    return [
        Result.against(f"cold start, {kind}", "s", (cold[0], cold[1]), _PEER, _COLD),
        Result.against(f"warm p50, {kind}", "s", (warm[0], warm[1]), _PEER, goal),
        Result.within(f"RSS, {kind}", "bytes", rss[0], _RSS, (_PEER, rss[1])),
        Result.within(f"parity, {kind}", "relative", trained.parity, tolerance),
    ]


def _handler(trained: Trained, layers: dict[str, Path], folder: Path) -> list[Result]:
    """Measure the whole predict handler: imports, alias, download, hashes, answer, log."""
    rows = folder / "rows.json"
    rows.write_text(json.dumps(trained.rows))
    names = ("noria", "noria_aws", "projects", "serving_runtime")
    folders = ":".join(str(layers[name] / "python") for name in names)
    files = {n: (trained.bundle_folder / n).read_bytes() for n in (BUNDLE_FILE, ARRAYS_FILE)}
    ours = ["handler", folders, str(rows), str(layers["predict"]), "tickets"]
    peer = ["pipeline", _SITE_PACKAGES, str(rows), str(trained.pipeline_file)]
    with Stores("tickets", files) as stores:
        environment = stores.environment
        cold, rss = _cold(ours, peer, environment)
        asked = ["authorizer", folders, str(rows), str(layers["authorize"]), stores.key]
        authorized, _ = _cold(asked, ours, environment)
    name = "whole predict handler"
    return [
        Result.against(f"cold start, {name}", "s", (cold[0], cold[1]), _PEER, _HANDLER),
        Result.within(f"RSS, {name}", "bytes", rss[0], _RSS, (_PEER, rss[1])),
        Result.against(
            "cold start, authorizer", "s", (authorized[0], authorized[1]), "predict", _AUTHORIZER
        ),
    ]


def _cold(
    ours: list[str], peer: list[str], environment: dict[str, str] | None = None
) -> tuple[list[float], list[float]]:
    """Return median seconds and bytes of (ours, peer), measured in turns."""
    seconds: list[list[float]] = [[], []]
    rss: list[list[float]] = [[], []]
    for _ in range(_REPEATS):
        for side, arguments in enumerate((ours, peer)):
            taken, facts = _child(arguments, environment=environment)
            seconds[side].append(taken)
            rss[side].append(facts["rss_bytes"])
    return [statistics.median(s) for s in seconds], [statistics.median(r) for r in rss]


def _child(
    arguments: list[str], *, warm: bool = False, environment: dict[str, str] | None = None
) -> tuple[float, dict[str, Any]]:
    """Return seconds from process start to first prediction, and what the child reports."""
    started = time.perf_counter()
    # -B: layers are read-only on Lambda, so no bytecode is written there.
    child = subprocess.Popen(
        [sys.executable, "-S", "-s", "-P", "-B", str(CHILD), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    said = []
    while (line := child.stdout.readline()) != "ready\n":  # a handler logs metrics before
        said.append(line)
        if not line:  # it has ended
            child.wait()
            raise RuntimeError(f"benchmark child failed: {arguments[0]}: {''.join(said)}")
    taken = time.perf_counter() - started
    child.stdin.write("warm\n" if warm else "stop\n")
    child.stdin.close()
    facts: dict[str, Any] = json.loads(child.stdout.readline())
    child.wait()
    return taken, facts


def built_layers(folder: Path) -> dict[str, Path]:
    """Return the folders of the layers and functions of serving, built as for AWS."""
    built = {}
    names = ("noria", "noria_aws", "projects", "serving_runtime", "training_runtime")
    for name, source in [
        *((n, ROOT / "layers" / n) for n in names),
        ("predict", ROOT / "lambdas/predict"),
        ("authorize", ROOT / "lambdas/authorize"),
    ]:
        built[name] = _made(folder / "layers" / name)
        bundling.build(source, built[name], machine())
    return built


def _sizes(layers: dict[str, Path]) -> list[Result]:
    size = {name: bundling.unzipped_bytes(path) for name, path in layers.items()}
    common = size["noria"] + size["noria_aws"] + size["projects"]
    training = common + size["training_runtime"]
    serving = common + size["serving_runtime"] + size["predict"]
    return [
        Result.within(
            "training functions, unzipped", "bytes", training, bundling.MAX_UNZIPPED_BYTES
        ),
        Result.within("predict function, unzipped", "bytes", serving, bundling.MAX_SERVING_BYTES),
    ]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
