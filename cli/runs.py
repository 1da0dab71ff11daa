"""The trainings of a project: which there are, what one did, its report, and how to stop it."""

import getpass
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from cli.display import console
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import Target
from infra.names import LOCAL_STAGE as LOCAL
from noria.errors import ModelVersionNotFoundError
from noria.storage.keys import REPORT_HTML, REPORT_JSON, report_key

_MACHINE = "TrainingStateMachine"
_LOOKED_AT = 500  # executions of all projects, the newest
WORDS = {
    "RUNNING": "running",
    "PENDING_REDRIVE": "running",
    "SUCCEEDED": "ended",
    "FAILED": "failed",
    "TIMED_OUT": "took too long",
    "ABORTED": "cancelled",
}
_FAILURES = ("LambdaFunctionFailed", "TaskFailed", "LambdaFunctionTimedOut", "TaskTimedOut")
_CAUSE_CHARACTERS = 400

RunId = Annotated[str, typer.Argument(help="As `noria train` and `noria runs` print it.")]


class Run(NamedTuple):
    """One execution of a training."""

    run_id: str
    status: str  # one of `WORDS`
    started_at: datetime
    seconds: float  # so far, of one that runs
    outcome: str | None  # of one that ended
    model_version: str | None
    summary: str | None  # what was decided, or why it failed
    source_keys: tuple[str, ...]  # the files it was started with
    refit_of: str | None  # the version whose parameters it uses
    recalibrates: bool
    arn: str


class StateSpan(NamedTuple):
    """One state that a run went through."""

    name: str
    seconds: float | None  # None: it has not ended
    failures: tuple[str, ...]  # of its tries, in plain words


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(runs)
    app.command()(logs)
    app.command()(cancel)
    app.command()(report)


def runs(
    project: Project,
    limit: Annotated[int, typer.Option(help="How many, the newest.", min=1, max=100)] = 20,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """List the trainings of a project, newest first: start (UTC), how long, outcome.

    A model version is called by its run and a hash; --json has it whole.
    """
    with told():
        target, name = Target(stage), checked(project)
        found = [*islice(runs_of(target, name), limit)]
        lines = [
            f"{run.run_id}  {run.started_at:%Y-%m-%d %H:%M}  {WORDS[run.status]}  "
            f"{run.seconds:,.0f} s  {run.outcome or ''}".rstrip()
            for run in found
        ]
        show(as_json, [run._asdict() for run in found], lambda: "\n".join(lines))
        if not found and not as_json:
            console.print(f"none yet; start one: noria train {name}")


def logs(
    project: Project,
    run_id: RunId,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Say what a training did, state by state, and in plain words what failed."""
    with told():
        target, name = Target(stage), checked(project)
        run = _found(target, name, run_id)
        spans = [*_spans(target.client("stepfunctions"), run.arn)]
        if as_json:
            show(True, {**run._asdict(), "states": [span._asdict() for span in spans]}, lambda: "")
            return
        console.print(f"run {run.run_id}: {WORDS[run.status]}", markup=False)
        for span in spans:
            took = "running" if span.seconds is None else f"{span.seconds:,.1f} s"
            console.print(f"  {span.name:<24}{took:>12}", markup=False)
            for failure in span.failures:
                console.print(f"    failed: {failure}", markup=False)
        for text in filter(None, (run.outcome, run.summary)):
            console.print(text, markup=False)
        if run.status in ("FAILED", "TIMED_OUT", "ABORTED"):
            again = again_text(name, run.run_id, stage)
            console.print(f"the champion serves on; run it again: {again}", markup=False)


def cancel(project: Project, run_id: RunId, stage: Stage = LOCAL) -> None:
    """Stop a training that runs; what it has finished is kept, a promotion it has made too."""
    with told():
        target, name = Target(stage), checked(project)
        run = _found(target, name, run_id)
        if run.status != "RUNNING":
            raise ValueError(f"run {run_id} does not run: it {WORDS[run.status]}")
        target.client("stepfunctions").stop_execution(
            executionArn=run.arn, error="Cancelled", cause=f"cancelled by {getpass.getuser()}"
        )
        again = again_text(name, run.run_id, stage)
        console.print(f"cancelled; go on with it later: {again}", markup=False)


def report(
    project: Project,
    run_id: Annotated[
        str | None, typer.Option(help="Of this training run; default: the champion's.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; .json gives the JSON twin."),
    ] = None,
    stage: Stage = LOCAL,
) -> None:
    """Write a run's report to a file: data, candidates, evidence, importance, lineage."""
    with told():
        target = Target(stage)
        run = run_id or _run_of_champion(target, checked(project))
        path = output or Path(f"{project}-{run}.html")
        name = REPORT_JSON if path.suffix == ".json" else REPORT_HTML
        try:
            body = target.artifacts.get(report_key(project, run, name))
        except KeyError as error:
            raise ValueError(f"{project}: run '{run}' has no report on stage '{stage}'") from error
        path.write_bytes(body)
        console.print(f"wrote {path}; open it in a browser", markup=False)


def _run_of_champion(target: Target, project: str) -> str:
    from noria.registry.versions import read_manifest

    manifest = read_manifest(
        target.artifacts, project, target.aliases.read(project).require_champion()
    )
    if manifest.lineage is None:
        raise ModelVersionNotFoundError(f"the champion of {project} has no lineage")
    return manifest.lineage.run_id


def again_text(project: str, run_id: str, stage: str) -> str:
    """Return the command that goes on with a run, as it began, without what is done."""
    where = "" if stage == LOCAL else f" --stage {stage}"
    return f"noria train {project} --run-id {run_id}{where}"


def runs_of(target: Target, project: str, prefix: str = "") -> Iterator[Run]:
    """Yield the trainings of a project, the newest first, of the last 500 of all projects.

    Parameters
    ----------
    prefix : str
        Of the executions' names: the others are not looked into.
    """
    client = target.client("stepfunctions")
    pages = client.get_paginator("list_executions").paginate(
        stateMachineArn=target.outputs[_MACHINE], PaginationConfig={"MaxItems": _LOOKED_AT}
    )
    for page in pages:
        for listed in page["executions"]:
            if not listed["name"].startswith(prefix):
                continue
            found = client.describe_execution(executionArn=listed["executionArn"])
            asked = json.loads(found.get("input") or "{}")
            if asked.get("project") == project:
                yield _run(found, asked)


def _run(found: dict[str, Any], asked: dict[str, Any]) -> Run:
    output = json.loads(found.get("output") or "{}")
    started, ended = found["startDate"], found.get("stopDate") or datetime.now(UTC)
    failure = plain(found.get("error"), found.get("cause")) if found.get("error") else None
    return Run(
        run_id=asked.get("run_id") or found["name"],
        status=found["status"],
        started_at=started,
        seconds=(ended - started).total_seconds(),
        outcome=output.get("outcome"),
        model_version=output.get("model_version"),
        summary=output.get("summary") or failure,
        source_keys=tuple(asked.get("source_keys", ())),
        refit_of=asked.get("refit_of"),
        recalibrates=asked.get("how") == "recalibrate",
        arn=found["executionArn"],
    )


def known_run(target: Target, project: str, run_id: str) -> Run | None:
    """Return an earlier training by its run id, or its execution's name; None for none.

    Who starts one by hand or over the API names it after its run; a check that retrains does not.
    """
    named = runs_of(target, project, run_id)
    for run in chain(named, runs_of(target, project)):
        if run_id in (run.run_id, run.arn.rpartition(":")[2]):
            return run
    return None


def _found(target: Target, project: str, run_id: str) -> Run:
    if run := known_run(target, project, run_id):
        return run
    raise ValueError(
        f"{project} has no run '{run_id}' among its last; list them: noria runs {project}"
    )


def _spans(client: Any, arn: str) -> Iterator[StateSpan]:
    """Yield the states that did something, in the order in which they were entered."""
    entered: dict[int, tuple[str, datetime]] = {}  # by event
    ended: dict[int, float] = {}
    failed: dict[int, list[str]] = {}
    state_of: dict[int, int] = {0: 0}  # event -> event that entered its state
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    for event in (event for page in pages for event in page["events"]):
        number, kind = event["id"], event["type"]
        state = state_of.get(event.get("previousEventId", 0), 0)
        if kind in ("TaskStateEntered", "MapStateEntered"):
            entered[number] = (event["stateEnteredEventDetails"]["name"], event["timestamp"])
            state = number
        elif kind in ("TaskStateExited", "MapStateExited"):
            name = event["stateExitedEventDetails"]["name"]
            state = next(
                (n for n in reversed(entered) if entered[n][0] == name and n not in ended), 0
            )
            if state:
                ended[state] = (event["timestamp"] - entered[state][1]).total_seconds()
        elif kind in _FAILURES:
            details: dict[str, Any] = next(
                (v for k, v in event.items() if k.endswith("EventDetails")), {}
            )
            failed.setdefault(state, []).append(plain(details.get("error"), details.get("cause")))
        state_of[number] = state
    for number, (name, _) in entered.items():
        yield StateSpan(name, ended.get(number), tuple(failed.get(number, ())))


def plain(error: str | None, cause: str | None) -> str:
    """Return what an execution says of a failure, without the stack trace."""
    try:
        said = json.loads(cause or "")
        text = str(said.get("errorMessage", "")) if isinstance(said, dict) else str(said)
        error = said.get("errorType", error) if isinstance(said, dict) else error
    except ValueError:
        text = cause or ""
    text = " ".join(text.split())
    short = text if len(text) <= _CAUSE_CHARACTERS else f"{text[:_CAUSE_CHARACTERS]}…"
    return ": ".join(part for part in (error, short) if part) or "no reason was given"
