"""`make soak`: a million predictions through the handler; is all answered, logged, and let go of.

One process of predict with its own adapters over HTTP answers one row after the other; a stand-in
for AWS's services counts what reaches the prediction log. Some twenty minutes; the tests run its
smallest size alone.
"""

import json
import os
import subprocess
import sys
import tempfile
from base64 import b64decode
from pathlib import Path

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from tests.benchmarks.models import train
from tests.benchmarks.report import Result, publish
from tests.benchmarks.serving import CHILD, built_layers
from tests.benchmarks.size import results_file, sized
from tests.benchmarks.stores import Stores

_REQUESTS, _SETTLED = sized(1_000_000, smoke=300), sized(20_000, smoke=100)
_GROWTH = sized(0.05, smoke=1.0)  # of what is resident once it has settled
_NAMES = ("noria", "noria_aws", "projects", "serving_runtime")


def main() -> None:
    """Train, answer, count, and write `build/soak.json`."""
    n_logged, ids = 0, set[int]()

    def took(request: bytes) -> None:
        nonlocal n_logged
        for line in b64decode(json.loads(request)["Record"]["Data"]).splitlines():
            n_logged += 1
            ids.add(hash(json.loads(line)["prediction_id"]))

    with tempfile.TemporaryDirectory(dir=results_file("soak.json").parent) as scratch:
        folder = Path(scratch)
        layers, trained = built_layers(folder), train("text linear", folder / "models")
        rows = folder / "rows.json"
        rows.write_text(json.dumps(trained.rows))
        files = {n: (trained.bundle_folder / n).read_bytes() for n in (BUNDLE_FILE, ARRAYS_FILE)}
        with Stores("tickets", files, took) as stores:
            folders = ":".join(str(layers[name] / "python") for name in _NAMES)
            asked = ["soak", folders, str(rows), str(layers["predict"]), "tickets"]
            said = subprocess.run(
                [sys.executable, "-S", "-s", "-P", "-B", str(CHILD), *asked,
                 str(_REQUESTS), str(_SETTLED)],
                env={**os.environ, **stores.environment}, stdout=subprocess.PIPE, text=True,
                check=True,
            ).stdout  # fmt: skip
    facts = json.loads(said.splitlines()[-1])
    growth = facts["last"] / facts["first"] - 1.0
    results = [
        Result.within("requests that failed", "requests", facts["n_failed"], 0),
        Result.within("answers that no record tells of", "records", _REQUESTS - len(ids), 0),
        Result.within("records that were doubled", "records", n_logged - len(ids), 0),
        Result.within("growth of resident memory", "relative", growth, _GROWTH),
        Result.within("resident at the end", "bytes", facts["last"], 60e6),
    ]
    publish(results, results_file("soak.json"))


if __name__ == "__main__":
    main()
