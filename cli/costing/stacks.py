"""The templates that a checkout synthesizes, as far as they cost something."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.names import ROOT

HOURS = 730.0  # of a month
_PER_HOUR = {"minute": 60.0, "hour": 1.0, "day": 1 / 24}


@dataclass(frozen=True)
class Schedule:
    """What comes by itself."""

    runs: float  # a month
    starts: str  # a function as in `lambdas/`, or "machine"


@dataclass(frozen=True)
class Deployed:
    """What of a deployment costs, used or not, and how big its functions are."""

    is_arm: bool
    memory_mb: Mapping[str, float]  # by function
    schedules: tuple[Schedule, ...]
    n_alarms: int
    n_dashboards: int
    n_secrets: int
    n_polled_queues: int
    n_projects: int
    is_traced: bool  # whether requests are
    n_limited: int  # projects whose requests are counted


def synthesized(folder: Path = ROOT, settings: Mapping[str, str] | None = None) -> Deployed:
    """Return what the app of a checkout deploys; ValueError with its words where it cannot.

    Parameters
    ----------
    settings : mapping, optional
        Keys of the context beside those of its cdk.json.
    """
    context = json.loads((folder / "cdk.json").read_text(encoding="utf-8"))["context"]
    context |= {"aws:cdk:bundling-stacks": [], **(settings or {})}  # no layer is built
    with tempfile.TemporaryDirectory() as out:
        environment = {
            **os.environ, "CDK_OUTDIR": out, "CDK_CONTEXT_JSON": json.dumps(context),
            "PYTHONPATH": os.pathsep.join(
                str(folder / part)
                for part in (".", "layers/noria/python", "layers/noria_aws/python", "layers/projects/python")
            ),
            "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "app.py"], cwd=folder, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ValueError(f"the app of {folder} does not synthesize:\n{done.stderr[-1000:]}")
        found = [json.loads(p.read_text("utf-8")) for p in Path(out).glob("*.template.json")]
    resources = [r for template in found for r in template["Resources"].values()]
    return _deployed(resources, folder)


def of_ref(ref: str, settings: Mapping[str, str] | None = None) -> Deployed:
    """Return what the app deployed at a commit, branch or tag."""
    with tempfile.TemporaryDirectory() as out:
        archive = subprocess.run(  # noqa: S603
            ["git", "archive", ref],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        if archive.returncode:
            raise ValueError(f"git knows no {ref}: {archive.stderr.decode()[:200]}")
        subprocess.run(["tar", "-x", "-C", out], input=archive.stdout, check=True)  # noqa: S603, S607
        return synthesized(Path(out), settings)


def _deployed(resources: list[dict[str, Any]], folder: Path) -> Deployed:
    def of(kind: str) -> list[dict[str, Any]]:
        return [r.get("Properties", {}) for r in resources if r["Type"] == kind]

    steps = sorted((path.parent.name for path in folder.glob("lambdas/*/handler.py")), key=len)
    functions = of("AWS::Lambda::Function")
    named = {str(f.get("Description", "")).rpartition(" ")[2]: f for f in functions}
    stages = of("AWS::ApiGateway::Stage")
    limits = next((found for f in functions if (found := _variables(f).get("NORIA_LIMITS"))), "{}")
    return Deployed(
        is_arm=any("arm64" in f.get("Architectures", ()) for f in functions),
        memory_mb={name: float(f["MemorySize"]) for name, f in named.items() if name in steps},
        schedules=tuple(_schedules(of("AWS::Scheduler::Schedule"), steps[::-1])),
        n_alarms=len(of("AWS::CloudWatch::Alarm")),
        n_dashboards=len(of("AWS::CloudWatch::Dashboard")),
        n_secrets=len(of("AWS::SecretsManager::Secret")),
        n_polled_queues=len(of("AWS::Lambda::EventSourceMapping")),
        n_projects=len(of("AWS::KinesisFirehose::DeliveryStream")),
        is_traced=any(stage.get("TracingEnabled") for stage in stages),
        n_limited=len([name for name in json.loads(limits) if name]),
    )


def _variables(function: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = function.get("Environment", {}).get("Variables", {})
    return found


def _schedules(found: list[dict[str, Any]], steps: list[str]) -> Iterator[Schedule]:
    for schedule in found:
        if schedule.get("State", "ENABLED") != "ENABLED":
            continue
        target = json.dumps(schedule["Target"]["Arn"]).lower()
        starts = next((s for s in steps if f"steps{s.replace('_', '')}" in target), "machine")
        yield Schedule(runs_a_month(schedule["ScheduleExpression"]), starts)


def runs_a_month(expression: str) -> float:
    """Return how often a schedule comes in 730 hours.

    Examples
    --------
    >>> runs_a_month("cron(5 * * * ? *)"), runs_a_month("cron(5 0,6,12,18 * * ? *)")
    (730.0, 121.66666666666667)
    >>> runs_a_month("rate(5 hours)"), round(runs_a_month("cron(0 3 ? * MON *)"), 2)
    (146.0, 4.35)
    """
    kind, _, inner = expression.rstrip(")").partition("(")
    fields = inner.split()
    if kind == "rate":
        return HOURS * _PER_HOUR[fields[1].rstrip("s")] / float(fields[0])
    minutes, hours, days, _, weekdays, _ = fields
    a_day = _listed(minutes, 60) * _listed(hours, 24)
    share = 1.0
    if weekdays not in ("?", "*"):
        share = _listed(weekdays, 7) / 7
    elif days not in ("?", "*"):
        share = _listed(days, 31) / (HOURS / 24)
    return a_day * share * HOURS / 24


def _listed(field: str, most: int) -> int:
    """Return how many values a field of a cron expression has; ranges of names count as one."""
    if field in ("*", "?"):
        return most
    n = 0
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if step:
            n += -(-(most - (int(first) if first.isdigit() else 0)) // int(step))
        elif last:
            n += int(last) - int(first) + 1 if first.isdigit() and last.isdigit() else 5
        else:
            n += 1
    return n
