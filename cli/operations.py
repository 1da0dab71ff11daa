"""Commands about a model in production: look, label, approve, open, simulate."""

import csv
import time
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.display import console, outcome_line, table
from cli.shared import Json, Project, Stage, checked, show, told
from cli.simulated_files import FileLoop
from cli.simulation import Loop, simulate_project
from cli.target import HttpAnswer, Target
from cli.training import follow_execution, new_run_id
from cli.world import SimulationSettings
from infra.config import LOCAL_STAGE as LOCAL
from noria.records.approval import PendingApproval
from noria.records.codec import from_bytes
from noria.storage.keys import APPROVAL
from noria_aws.aws.task_tokens import TaskTokens

_MAX_LABELS = 1000  # a request
_SHOWN_FAULTS = 10


class TrafficKind(StrEnum):
    """How rows come to the model in a simulation."""

    REQUEST = "request"
    FILE = "file"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (monitor, drift, performance, feedback, approve, open_, simulate):
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
        body = _get(Target(stage), checked(project), "performance").body
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
        show(as_json, body, lambda: table(title, columns, rows))


def feedback(
    project: Project,
    label: Annotated[str | None, typer.Argument(help="The true class or value.")] = None,
    prediction_id: Annotated[str | None, typer.Option(help="Of the answer.")] = None,
    record_id: Annotated[str | None, typer.Option(help="Of the record, if it was sent.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="CSV with prediction_id or record_id, and label: one row a label."),
    ] = None,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Submit labels: what answers should have been; sending them again changes nothing."""
    with told():
        labels = _labels_of(data) if data else [_label(prediction_id, record_id, label)]
        target, n_labels = Target(stage), 0
        refused: list[str] = []
        for start in range(0, len(labels), _MAX_LABELS):
            body = {"labels": labels[start : start + _MAX_LABELS]}
            answer = target.call("POST", f"/projects/{checked(project)}/feedback", body)
            faults = answer.body.get("errors", [])
            if not (answer.status == 422 and faults):  # a part without one good label
                n_labels += _ok(answer).body["n_labels"]
            refused += [_refused_label(fault, start) for fault in faults]
        found = {"n_labels": n_labels, "n_refused": len(refused), "refused": refused}
        show(as_json, found, lambda: f"{n_labels} label(s) filed, {len(refused)} refused")
        if refused and not as_json:
            for text in refused[:_SHOWN_FAULTS]:
                console.print(f"  {text}", markup=False)
        if refused and not n_labels:
            raise ValueError("no label was filed")


def _refused_label(fault: dict[str, str], start: int) -> str:
    """Return the fault of one label, counted from 1 as the rows of a file are."""
    number = start + int(fault["field"].rpartition(".")[2]) + 1 if "." in fault["field"] else start
    return f"label {number}: {fault['reason']}"


def approve(
    project: Project,
    reject: Annotated[bool, typer.Option(help="Say no; the champion stays.")] = False,
    stage: Stage = LOCAL,
) -> None:
    """Approve or reject the rollout that waits for it."""
    with told():
        target = Target(stage)
        body = target.state.read(checked(project), APPROVAL).body
        if body is None:
            raise ValueError(f"{project} has no pending approval")
        pending = from_bytes(PendingApproval, body)
        tokens = TaskTokens(target.client("stepfunctions"))
        if not tokens.answer(pending.task_token, is_approved=not reject, by="a person"):
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
    return _ok(target.call("GET", f"/projects/{project}/monitoring/{part}"))


def _ok(answer: HttpAnswer) -> HttpAnswer:
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.body.get('detail', answer.body)}")
    return answer


def _p(finding: dict[str, Any]) -> str:
    value = finding["p_adjusted"]
    return "" if value is None else f"{value:.1e}"


def _labels_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if (
        not rows
        or not {"label"} <= set(rows[0])
        or not {"prediction_id", "record_id"} & set(rows[0])
    ):
        raise ValueError(f"{path}: needs the columns label and prediction_id or record_id")
    return [_label(row.get("prediction_id"), row.get("record_id"), row["label"]) for row in rows]


def _label(prediction_id: str | None, record_id: str | None, label: str | None) -> dict[str, Any]:
    if label is None or bool(prediction_id) == bool(record_id):
        raise ValueError(
            "give a label, and one of --prediction-id and --record-id (or --data FILE)"
        )
    kind = {"prediction_id": prediction_id} if prediction_id else {"record_id": record_id}
    return {**kind, "label": label}


def _quiet(state: str, what: str, seconds: float) -> None:
    """Follow silently: a check takes seconds."""
