"""Commands about whole files."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.display import console, outcome_line
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import Target
from cli.training import follow_execution, new_run_id
from infra.names import LOCAL_STAGE as LOCAL
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    CANCELLED,
    JOB,
    OUTCOME,
    OWNER,
    PLAN,
    REPORT_HTML,
    batch_inbox_prefix,
    batch_key,
    table_key,
)

_POLL_SECONDS = 0.5
_QUIET_SECONDS = 1800.0  # twice the longest step
_START_SECONDS = 120.0  # from the upload to the plan of a small file; later the plan may be long


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("batch")(batch)
    app.command("cancel-batch")(cancel_batch)
    app.command("release")(release)
    app.command("start-batches")(start_waiting)


def batch(
    project: Project,
    file: Annotated[Path, typer.Argument(help=".csv, .jsonl (also .gz) or .parquet", exists=True)],
    limit: Annotated[
        int | None, typer.Option(help="Only the first rows, for a try.", min=1)
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option(help="A table to join, instead of the newest in the inbox.", exists=True),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Score a whole file: an answer for every good row, a reason for every other one."""
    with told():
        target, job_id = Target(stage), new_run_id()
        put_batch(
            target, checked(project), job_id, file.name, file, limit=limit, tables=table or ()
        )
        _shown(target, followed(target, project, job_id, quiet=as_json), output, as_json=as_json)


def put_batch(
    target: Target,
    project: str,
    job_id: str,
    filename: str,
    content: Path | bytes,
    *,
    limit: int | None = None,
    tables: Sequence[Path] = (),
) -> None:
    """Upload the tables to join and name the job, then upload its file, which starts it."""
    client, bucket = target.client("s3"), target.outputs["DataBucket"]
    keys = [table_key(project, job_id, table.name) for table in tables]
    for table, place in zip(tables, keys, strict=True):
        client.upload_file(str(table), bucket, place)
    job = {"filename": filename, "limit": limit, "tables": keys}
    target.artifacts.put(batch_key(project, job_id, JOB), canonical_json(job))
    key = f"{batch_inbox_prefix(project)}{job_id}/{filename}"
    if isinstance(content, bytes):
        target.artifacts.put(key, content)
    else:
        client.upload_file(str(content), bucket, key)


def cancel_batch(
    project: Project,
    job_id: Annotated[str, typer.Argument(help="Of the batch: `noria batch` prints it.")],
    stage: Stage = LOCAL,
) -> None:
    """Stop a batch before its next part; no results are written."""
    with told():
        target = Target(stage)
        at = partial(batch_key, checked(project), job_id)
        if target.artifacts.exists(at(OUTCOME)) or not target.artifacts.exists(at(PLAN)):
            raise ValueError(f"project '{project}' has no running batch job '{job_id}'")
        target.artifacts.put(batch_key(project, job_id, CANCELLED), canonical_json({}))
        console.print(f"batch {job_id} stops before its next part", markup=False)


def release(
    project: Project,
    job_id: Annotated[str, typer.Argument(help="Of the batch: `noria batch` prints it.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Publish results that were held back because the file's rows have drifted."""
    with told():
        target = Target(stage)
        _shown(target, released(target, checked(project), job_id), output, as_json=as_json)


def released(target: Target, project: str, job_id: str) -> dict[str, Any]:
    """Let the state machine publish what was held back; return how the job ended."""
    store, key = target.artifacts, batch_key(project, job_id, OUTCOME)
    if not store.exists(key):
        raise ValueError(f"project '{project}' has no batch job '{job_id}' that has ended")
    held = json.loads(store.get(key))
    if held["outcome"] != "BatchHeld":
        raise ValueError(f"batch {job_id} is not held back: {held['summary']}")
    message = {"key": held["source_key"], "sequencer": "", "release": job_id}
    name = f"release-{job_id}"[:70]
    end = follow_execution(target, "BatchStateMachine", name, message, lambda *_: None)
    if end.status != "SUCCEEDED":
        raise RuntimeError(f"batch {job_id} was not released: {end.output['cause']}")
    found: dict[str, Any] = json.loads(store.get(key))
    return found


def start_waiting(project: Project, stage: Stage = LOCAL, as_json: Json = False) -> None:
    """Score now the files that wait for the schedule, each once: batch-scheduled/PROJECT/."""
    from noria.steps.start_batches import StartBatchesRequest, start_batches

    with told():
        target = Target(stage)
        done = start_batches(
            StartBatchesRequest(checked(project)),
            store=target.artifacts,
            executions=target.executions,
        )
        text = f"{done.n_started} batch(es) started, {done.n_known} file(s) were started before"
        show(as_json, asdict(done), lambda: text)


def _shown(target: Target, outcome: dict[str, Any], output: Path | None, *, as_json: bool) -> None:
    """Fetch what there is of a job and print it; status 1 where there are no results."""
    folder = output or Path("batch-results") / outcome["job_id"]
    outcome["files"] = [str(path) for path in _downloaded(target, outcome, folder)]
    show(as_json, outcome, lambda: outcome_line(outcome))
    if not as_json:
        for path in outcome["files"]:
            console.print(path, markup=False)
    if outcome["outcome"] != "BatchCompleted":
        raise typer.Exit(1)


def followed(target: Target, project: str, job_id: str, *, quiet: bool) -> dict[str, Any]:
    """Wait for a job's end, showing how far it is."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    store, started = target.artifacts, time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet) as progress:
        task = progress.add_task(f"batch {job_id}: reading the file", total=None)
        plan: dict[str, Any] | None = None
        done, seen, changed = 0, -1, started
        while not store.exists(batch_key(project, job_id, OUTCOME)):
            if plan is None and store.exists(batch_key(project, job_id, PLAN)):
                plan = json.loads(store.get(batch_key(project, job_id, PLAN)))
                total = len(plan["parts"])
                progress.update(task, total=total or None, description=f"batch {job_id}: scoring")
            if plan is not None:
                done = sum(1 for _ in store.under(batch_key(project, job_id, "summary/")))
                progress.update(task, completed=done)
            elif time.monotonic() - started > _START_SECONDS:
                _require_claimed(target, project, job_id)
            if done != seen:
                seen, changed = done, time.monotonic()
            elif time.monotonic() - changed > _QUIET_SECONDS:
                raise RuntimeError(f"batch {job_id} stands still; look at its execution")
            time.sleep(_POLL_SECONDS)
        if plan:
            progress.update(task, completed=len(plan["parts"]))
    found: dict[str, Any] = json.loads(store.get(batch_key(project, job_id, OUTCOME)))
    return found


def _require_claimed(target: Target, project: str, job_id: str) -> None:
    if not target.artifacts.exists(batch_key(project, job_id, OWNER)):
        raise RuntimeError(
            f"batch {job_id} was uploaded, but nothing has started it: look at the rule of the "
            "batch inbox and its dead-letter queue"
        )


def _downloaded(target: Target, outcome: dict[str, Any], folder: Path) -> list[Path]:
    """Fetch results, refused rows and the page; return where they are."""
    client, bucket = target.client("s3"), target.outputs["DataBucket"]
    page = batch_key(outcome["project"], outcome["job_id"], REPORT_HTML)
    keys = [key for key in (outcome["result_key"], outcome["refused_key"]) if key]
    deadline = time.monotonic() + 30.0  # the page follows the outcome
    while not target.artifacts.exists(page) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    keys += [page] if target.artifacts.exists(page) else []
    paths = []
    for key in keys:
        path = folder / key.rpartition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(bucket, key, str(path))
        paths.append(path)
    return paths
