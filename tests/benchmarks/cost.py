"""`make bench-cost`: what each kind of work uses, metered on the emulator: prices/work.json.

`noria cost` multiplies this with the price list. Seconds are processor time of this machine's
processes, the start of new ones included; the command scales them by each function's memory and
adds what AWS's services usually take to answer. Calls and state transitions are counted.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.costing.work import StepWork, Work
from cli.samples.files import sample_files
from cli.target import Target
from cli.training import follow_execution, new_run_id, run_training, upload
from infra.local.meter import FILE
from infra.names import ROOT
from tests.benchmarks.load import _ROW as HOUSING_ROW
from tests.benchmarks.size import results_file, sized
from tests.support.stages import deployed_stage

_PROJECTS = sized(("housing", "tickets", "customers", "messages"), smoke=("housing",))
_REQUESTS = sized(200, smoke=5)
_BATCH_ROWS = sized(60_000, smoke=200)
_SETTLED_SECONDS = 6.0  # after which profiles of the log are written


def main() -> None:
    """Deploy a stage, do each kind of work once, and write what it used."""
    with tempfile.TemporaryDirectory() as folder, deployed_stage(Path(folder)) as target:
        work = measured(target, Path(folder) / FILE)
    file = sized(ROOT / "prices" / "work.json", smoke=results_file("work.json"))
    told = {
        "measured_at": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "machine": "2 shared cores, x86-64",
        "work": {name: asdict(found) for name, found in work.items()},
    }
    file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for name, found in work.items():
        n, seconds = (sum(getattr(s, f) for s in found.steps.values()) for f in ("n", "seconds"))
        print(
            f"{name:22} {found.transitions:8.4g} transitions, {n:8.4g} executions, {seconds:8.4g} s"
        )


def measured(target: Target, meter: Path) -> dict[str, Work]:
    """Return what each kind of work uses."""
    found: dict[str, Work] = {}

    def take(name: str, per: float, do: Callable[[], int]) -> None:
        print(f"… {name}", flush=True)
        before = _read(meter)
        transitions = do()
        time.sleep(_SETTLED_SECONDS)
        found[name] = _used(before, _read(meter), transitions, per)

    for project in _PROJECTS:
        take(f"training of {project}", 1, lambda project=project: _train(target, project))  # type: ignore[misc]
    take("check at rest", 1, lambda: _check(target))
    take("look", 1, lambda: _look(target))
    take("prediction", _REQUESTS, lambda: _predict(target))
    take("check", 1, lambda: _check(target))
    take("label", _REQUESTS, lambda: _label(target))
    take("batch row", _BATCH_ROWS, lambda: _batch(target))
    return found


def _train(target: Target, project: str) -> int:
    keys = upload(target, project, sample_files(project))
    end = run_training(target, project, keys, new_run_id(), lambda *_: None)
    assert end.status == "SUCCEEDED", end.output
    return _transitions(target, str(end.execution_arn))


def _look(target: Target) -> int:
    message = {"project": "housing", "may_retrain": False, "at": datetime.now(UTC).isoformat()}
    functions = target.client("lambda").list_functions()["Functions"]
    (name,) = [
        f["FunctionName"] for f in functions if f["Description"].endswith("start_scheduled_check")
    ]
    before = len(_executions(target))
    answer = target.client("lambda").invoke(FunctionName=name, Payload=json.dumps(message))
    assert answer["StatusCode"] == 200
    assert len(_executions(target)) == before  # a look that starts a check is one of its own
    return 0


def _executions(target: Target) -> list[dict[str, Any]]:
    arn = target.outputs["MonitoringStateMachine"]
    found: list[dict[str, Any]] = target.client("stepfunctions").list_executions(
        stateMachineArn=arn
    )["executions"]
    return found


def _check(target: Target) -> int:
    name = new_run_id()
    message = {"project": "housing", "check_id": name, "may_retrain": False}
    end = follow_execution(target, "MonitoringStateMachine", name, message, lambda *_: None)
    assert end.status == "SUCCEEDED", end.output
    return _transitions(target, str(end.execution_arn))


def _predict(target: Target) -> int:
    for number in range(_REQUESTS):
        body = {"inputs": HOUSING_ROW, "record_id": f"r{number}"}
        assert target.call("POST", "/projects/housing/predict", body).status == 200
    return 0


def _label(target: Target) -> int:
    for number in range(_REQUESTS):
        body = {"record_id": f"r{number}", "label": 20.0 + number % 7}
        assert target.call("POST", "/projects/housing/feedback", body).status == 200
    return 0


def _batch(target: Target) -> int:
    header = ",".join(HOUSING_ROW)
    row = ",".join(map(str, HOUSING_ROW.values()))
    body = "\n".join([header, *[row] * _BATCH_ROWS]).encode()
    machine = target.outputs["BatchStateMachine"]
    target.artifacts.put("batch-inbox/housing/cost.csv", body)
    client = target.client("stepfunctions")
    deadline = time.monotonic() + 300.0
    while time.monotonic() < deadline:
        found = client.list_executions(stateMachineArn=machine)["executions"]
        if found and found[0]["status"] != "RUNNING":
            assert found[0]["status"] == "SUCCEEDED"
            return _transitions(target, found[0]["executionArn"])
        time.sleep(0.5)
    raise RuntimeError("the batch has not ended in 300 s")


def _transitions(target: Target, arn: str) -> int:
    """Return how many states an execution entered, those of its children too."""
    pages = target.client("stepfunctions").get_paginator("get_execution_history")
    events = [e for page in pages.paginate(executionArn=arn) for e in page["events"]]
    return sum(event["type"].endswith("StateEntered") for event in events)


def _read(meter: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(meter.read_text()) if meter.exists() else {}
    return {"calls": {}, "runs": {}, "cpu": {}, **found}


def _steps() -> dict[str, str]:
    """Return the functions by what their names in the account hold, the longest first."""
    names = sorted((path.parent.name for path in ROOT.glob("lambdas/*/handler.py")), key=len)
    return {name.replace("_", ""): name for name in reversed(names)}


def _step(name: str, steps: Mapping[str, str]) -> str | None:
    """Return the function whose name this is, or whose role; their folder is called prediction."""
    found = name.lower().replace("prediction", "")
    return next((step for part, step in steps.items() if part in found), None)


def _used(
    before: Mapping[str, Any], after: Mapping[str, Any], transitions: int, per: float
) -> Work:
    names, found = _steps(), dict[str, StepWork]()
    calls: dict[str, dict[str, float]] = {}
    for role, actions in after["calls"].items():
        step = _step(role, names)
        for action, n in actions.items():
            more = n - before["calls"].get(role, {}).get(action, 0)
            if step and more and not action.startswith(("logs:", "xray:")):
                of_step = calls.setdefault(step, {})
                of_step[action] = of_step.get(action, 0.0) + more / per
    for name, n in after["runs"].items():
        step, more = _step(name, names), n - before["runs"].get(name, 0)
        if step and more:
            seconds = after["cpu"].get(name, 0.0) - before["cpu"].get(name, 0.0)
            found[step] = StepWork(more / per, seconds / per, calls.get(step, {}))
    return Work(transitions / per + (_in_maps(found) if transitions else 0.0), found)


def _in_maps(found: Mapping[str, StepWork]) -> float:
    """Return the transitions inside of maps, which the emulator's history leaves out.

    As many as an iteration has states, for each execution of the function that it calls.
    """
    n = 0.0
    for path in (ROOT / "statemachines").glob("*.asl.json"):
        states = json.loads(path.read_text(encoding="utf-8"))["States"].values()
        for inner in (s["ItemProcessor"]["States"] for s in states if s["Type"] == "Map"):
            tasks = [s["Resource"] for s in inner.values() if "${" in s.get("Resource", "")]
            step = _step(tasks[0], _steps())
            n += len(inner) * found[step].n if step and step in found else 0.0
    return n


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        asked, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
