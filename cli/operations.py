"""Commands about a model in production: look, label, approve, open, simulate."""

import json
import time
import webbrowser
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.display import console, outcome_line, table
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import HttpAnswer, Target, answered
from cli.training import follow_execution, new_run_id
from infra.names import LOCAL_STAGE as LOCAL
from noria.records.approval import PendingApproval
from noria.records.codec import decode, from_bytes
from noria.records.labels import LabelsReport
from noria.records.probation import Probation
from noria.storage.keys import (
    APPROVAL,
    CURRENT,
    QUARANTINE_REPORT,
    labels_file_key,
    labels_inbox_prefix,
    monitoring_key,
)

_LABELS_SECONDS = 1000.0  # longer than the function that reads them lives
_POLL_SECONDS = 0.3


class TrafficKind(StrEnum):
    """How rows come to the model in a simulation."""

    REQUEST = "request"
    FILE = "file"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (
        monitor,
        drift,
        performance,
        answers,
        feedback,
        approve,
        open_,
        simulate,
    ):
        app.command(command.__name__.rstrip("_"))(command)


def monitor(
    project: Project,
    retrain: Annotated[bool, typer.Option(help="Train again if there is a reason.")] = False,
    force: Annotated[bool, typer.Option(help="Train again, reason or not.")] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Check the champion now: drift, quality, decision; as its schedule does."""
    with told():
        target, check_id = Target(stage), new_run_id()
        message: dict[str, Any] = {"project": checked(project), "check_id": check_id}
        message |= {"may_retrain": retrain or force, "forced": force}
        end = follow_execution(target, "MonitoringStateMachine", check_id, message, _quiet)
        if end.status != "SUCCEEDED":
            raise RuntimeError(f"check {check_id} {end.status}: {end.output}")
        show(as_json, end.output, lambda: outcome_line(end.output))


def drift(project: Project, stage: Stage = LOCAL, as_json: Json = False) -> None:
    """Show what moved, by the last check."""
    with told():
        body = _get(Target(stage), checked(project), "drift").body
        findings = {w: found["findings"] for w, found in body["windows"].items()}
        rows = [
            (w, f["column"], f["statistic"], f"{f['effect']:.3f}", _p(f), "yes" if f["is_drifted"] else "")
            for w in findings
            for f in findings[w]
            if f["threshold"] is not None
        ]  # fmt: skip
        columns = ("window", "column", "statistic", "effect", "adjusted p", "drifted")
        title = (
            f"{project}: {body['verdict']} at {body['at'][:16]}; {body['retraining']['summary']}"
        )
        show(as_json, body, lambda: table(title, columns, rows))
        if not as_json:
            for state in ("confirmed", "suspected"):
                for finding in body[state]:
                    console.print(f"{state}: {finding['text']}", markup=False)


def performance(project: Project, stage: Stage = LOCAL, as_json: Json = False) -> None:
    """Show how good the champion is, measured and estimated, by the last check."""
    with told():
        target = Target(stage)
        body = _get(target, checked(project), "performance").body
        rows = [
            (name, "labels" if how == "realised" else "estimate", f"{p['reference']:.4f}",
             f"{p['value']:.4f}", f"{p['low']:.4f} to {p['high']:.4f}", p["n_rows"])
            for how in ("realised", "estimated")
            for name, p in body[how].items()
        ]  # fmt: skip
        columns = ("metric", "by", "before", "now", "interval", "rows")
        title = f"{project}: {body['verdict']} on {body['n_labels']} labels, at {body['at'][:16]}"
        if body["n_unmatched_labels"]:
            title += f"; {body['n_unmatched_labels']} labels belong to no answer"
        if body["n_jobs"]:  # the API tells no names of files
            current = json.loads(target.artifacts.get(monitoring_key(project, CURRENT)))
            body["jobs"] = current["performance"]["jobs"]
        show(as_json, body, lambda: table(title, columns, rows))
        if body["probation"] and not as_json:
            from noria.reporting.words import probation_text

            found = decode(Probation, body["probation"])
            console.print(f"probation: {probation_text(found)}", markup=False)
        if body["jobs"] and not as_json:
            console.print(_jobs_table(body["jobs"], body["primary_metric"]))


def _jobs_table(jobs: list[dict[str, Any]], metric: str) -> Any:
    """Return how good the answers to each file were, by the labels of its rows."""
    rows = []
    for job in jobs:
        found = job["realised"].get(metric)
        shown = ("insufficient data", "", "")
        if found:
            interval = f"{found['low']:.4f} to {found['high']:.4f}"
            shown = (f"{found['value']:.4f}", interval, f"{found['reference']:.4f}")
        rows.append((job["filename"], job["job_id"], job["n_labels"], *shown))
    columns = ("file", "batch", "labels", metric, "interval", "before")
    return table("Files, by the labels of their rows", columns, rows)


def answers(
    project: Project,
    record_id: Annotated[
        str, typer.Argument(help="As it was sent, or stands in a file's id column.")
    ],
    days: Annotated[int, typer.Option(help="How far back.", min=1, max=400)] = 30,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Show which version said what of a record: to requests, and in files."""
    from noria.monitoring.prediction_log import answers_to  # numpy

    with told():
        target = Target(stage)
        end = datetime.now(UTC)
        found = [
            {
                "at": answer.at and answer.at.isoformat(),
                "model_version": answer.model_version,
                "prediction": answer.prediction,
                "outputs": answer.outputs,
                "file": answer.job and answer.job.filename,
                "job_id": answer.job and answer.job.job_id,
                "line": answer.line,
                "prediction_id": answer.prediction_id,
            }
            for answer in answers_to(
                target.artifacts, checked(project), record_id, end - timedelta(days=days), end
            )
        ]
        rows = [
            (str(a["at"])[:16], a["model_version"], a["prediction"],
             f"{a['file']}, line {a['line']}" if a["file"] else a["prediction_id"])
            for a in found
        ]  # fmt: skip
        columns = ("at", "model version", "prediction", "asked in")
        title = f"{project}: {len(found)} answers about {record_id} in {days} days"
        show(as_json, found, lambda: table(title, columns, rows))


def feedback(
    project: Project,
    label: Annotated[str | None, typer.Argument(help="The true class or value.")] = None,
    prediction_id: Annotated[str | None, typer.Option(help="Of the answer.")] = None,
    record_id: Annotated[str | None, typer.Option(help="Of the record, if it was sent.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A file of labels: .csv, .jsonl (also .gz) or .parquet, with prediction_id, "
            "record_id or an id column, and label or the target.",
            exists=True,
        ),
    ] = None,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Submit labels: what answers should have been; sending them again changes nothing."""
    with told():
        target, name = Target(stage), checked(project)
        if data:
            _show_filed(target, _filed(target, name, data), as_json=as_json)
            return
        body = _label(prediction_id, record_id, label)
        found = answered(target.call("POST", f"/projects/{name}/feedback", body)).body
        show(as_json, found, lambda: f"{found['n_labels']} label(s) filed")


def _filed(target: Target, project: str, data: Path) -> LabelsReport:
    """Put a file of labels into its inbox, and return what became of it."""
    key = f"{labels_inbox_prefix(project)}{new_run_id()}/{data.name}"
    report = labels_file_key(project, key, QUARANTINE_REPORT)
    target.client("s3").upload_file(str(data), target.outputs["DataBucket"], key)
    deadline = time.monotonic() + _LABELS_SECONDS
    with console.status(f"{data.name}: reading the labels"):
        while not target.artifacts.exists(report):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{key} was uploaded and not read; look at its execution")
            time.sleep(_POLL_SECONDS)
    return from_bytes(LabelsReport, target.artifacts.get(report))


def _show_filed(target: Target, found: LabelsReport, *, as_json: bool) -> None:
    """Print what became of a file of labels; status 1 where none was filed."""
    show(as_json, asdict(found), lambda: found.summary)
    if not as_json:
        for reason, n in found.reasons.items():
            console.print(f"  {n:,} refused: {reason}", markup=False)
        if found.refused_key:
            place = f"s3://{target.outputs['DataBucket']}/{found.refused_key}"
            console.print(f"  the refused rows: {place}", markup=False)
    if found.outcome == "LabelsRejected":
        raise typer.Exit(1)


def approve(
    project: Project,
    reject: Annotated[bool, typer.Option(help="Say no; the champion stays.")] = False,
    stage: Stage = LOCAL,
) -> None:
    """Approve or reject the rollout that waits for it."""
    from noria_aws.aws.task_tokens import TaskTokens

    with told():
        target = Target(stage)
        body = target.state.read(checked(project), APPROVAL).body
        if body is None:
            raise ValueError(f"{project} has no pending approval")
        pending = from_bytes(PendingApproval, body)
        tokens = TaskTokens(target.client("stepfunctions"))
        asked = {"approve": not reject, "model_version": pending.model_version}
        is_taken = target.audited(
            "answer_approval",
            project,
            asked,
            lambda: tokens.answer(pending.task_token, is_approved=not reject, by=target.actor),
        )
        if not is_taken:
            raise ValueError(
                f"{pending.model_version} waits no more (until {pending.expires_at[:16]}); "
                f"promote it by hand: noria promote {project} {pending.model_version}"
            )
        done = "rejected" if reject else "approved"
        console.print(f"{done}: {pending.model_version}", markup=False)


def open_(project: Project, stage: Stage = LOCAL) -> None:
    """Open the report of the last check in a browser."""
    with told():
        target = Target(stage)
        key = _get(target, checked(project), "drift").body["report_key"]
        path = Path(f"{project}-monitoring.html").resolve()
        path.write_bytes(target.artifacts.get(key))
        console.print(f"wrote {path.name}", markup=False)
        webbrowser.open(path.as_uri())


def simulate(
    project: Project,
    *,
    days: Annotated[int, typer.Option(help="Simulated days.", min=2, max=365)] = 30,
    drift_day: Annotated[
        int | None, typer.Option(help="The day the world changes; default: in the middle.")
    ] = None,
    drift: Annotated[float, typer.Option(help="How far, 0 to 1.", min=0, max=1)] = 1.0,
    rows_per_hour: Annotated[
        int, typer.Option(help="Requests; a day's file has 24 times as many rows.", min=1, max=100)
    ] = 20,
    by: Annotated[
        TrafficKind, typer.Option(help="Requests, or one file a day that is scored as a batch.")
    ] = TrafficKind.REQUEST,
    label_delay_hours: Annotated[int, typer.Option(help="Until the truth is known.", min=0)] = 24,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal traffic.")] = 7,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The drawn timeline; .svg.")
    ] = None,
) -> None:
    """Play days of traffic on the embedded emulator, with a change, and watch the loop react."""
    from cli.simulated_files import FileLoop  # numpy, and all that the loop needs
    from cli.simulation import Loop, simulate_project
    from cli.world import SimulationSettings

    with told():
        settings = SimulationSettings(
            days=days,
            drift_day=days // 2 if drift_day is None else drift_day,
            drift=drift,
            rows_per_hour=rows_per_hour,
            label_delay_hours=label_delay_hours,
            seed=seed,
        )
        started = time.monotonic()
        kind = FileLoop if by is TrafficKind.FILE else Loop
        timeline = simulate_project(Target(LOCAL), checked(project), settings, kind)
        path = output or Path(f"{project}-timeline.svg")
        path.write_text(timeline.drawn(), encoding="utf-8")
        console.print(table(f"{project}: {days} days", ("day", "what", "detail"), timeline.rows()))
        console.print(
            f"{timeline.summary()}\n{time.monotonic() - started:.0f} s; drawn in {path}",
            markup=False,
        )


def _get(target: Target, project: str, part: str) -> HttpAnswer:
    return answered(target.call("GET", f"/projects/{project}/monitoring/{part}"))


def _p(finding: dict[str, Any]) -> str:
    value = finding["p_adjusted"]
    return "" if value is None else f"{value:.1e}"


def _label(prediction_id: str | None, record_id: str | None, label: str | None) -> dict[str, Any]:
    if label is None or bool(prediction_id) == bool(record_id):
        raise ValueError(
            "give a label, and one of --prediction-id and --record-id (or --data FILE)"
        )
    kind = {"prediction_id": prediction_id} if prediction_id else {"record_id": record_id}
    return {**kind, "label": label}


def _quiet(state: str, what: str, seconds: float) -> None:
    """Follow silently: a check takes seconds."""
