"""`make fuzz-api`: requests made from the OpenAPI document, sent over HTTP to a deployed stage.

Schemathesis makes them: valid ones, mutated ones, and the bounds of every field. Each answer must be
one that the document has, by status, headers and schema; a request that the document does not
allow must be refused, and so must one without a key.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from cli.target import Target
from infra.names import ROOT
from noria.api.routes import ROUTES
from tests.fuzz.projects import PROJECTS, promote, world
from tests.support.stages import deployed_stage

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
)
_STARTING = ("start_check",)  # each valid request starts a state machine: few are sent
_FEW, _MANY = 10, 700  # requests to an operation, beside the bounds of its fields
_SEED = 2026


class ApiTally(NamedTuple):
    """What was sent, and what Schemathesis says of it."""

    n_cases: int
    n_failed: int
    report: str


def run(
    target: Target, document: dict[str, Any], n_examples: int, operations: Sequence[str]
) -> ApiTally:
    """Send at most `n_examples` made requests to each operation, and all bounds of its fields."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "openapi.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(path)),
            *("--url", target.api_url, "--header", f"x-api-key: {target.api_key('admin')}"),
            *("--checks", ",".join(_CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(n_examples), "--seed", str(_SEED), "--continue-on-failure"),
            *("--suppress-health-check", "all", "--generation-database", "none", "--no-color"),
            *(part for name in operations for part in ("--include-operation-id", name)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    report = done.stdout + done.stderr
    counts = re.search(r"(\d+) generated(?:, (\d+) found (\d+) unique failures)?", report)
    assert counts is not None, report[-5000:]
    assert (done.returncode == 0) == (counts[2] is None), report[-5000:]
    return ApiTally(int(counts[1]), int(counts[2] or 0), report)


def with_champions(target: Target) -> None:
    """Let small models serve every project of a stage."""
    made = world()
    for key, body in made.artifacts.objects.items():
        if key.startswith("models/"):
            target.artifacts.put(key, body)
    for project in PROJECTS:
        version = made.aliases.read(project).require_champion()
        promote(made._replace(aliases=target.aliases), project, version)  # type: ignore[arg-type]


def main() -> None:
    """Deploy a stage, send ten thousand requests and more, and say what came."""
    n_cases = n_failed = 0
    with TemporaryDirectory() as folder, deployed_stage(Path(folder)) as target:
        with_champions(target)
        document = target.call("GET", "/openapi.json").body
        for route in ROUTES:
            few = route.operation in _STARTING
            tally = run(target, document, _FEW if few else _MANY, [route.operation])
            print(
                f"{route.operation}: {tally.n_cases:,} requests, {tally.n_failed} failed",
                flush=True,
            )
            if tally.n_failed:
                print(tally.report)
            n_cases, n_failed = n_cases + tally.n_cases, n_failed + tally.n_failed
    path = ROOT / "build" / "fuzz-api.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"n_cases": n_cases, "n_failed": n_failed}), encoding="utf-8")
    print(f"{n_cases:,} requests, {n_failed:,} failed; {path.relative_to(ROOT)}")
    if n_failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
