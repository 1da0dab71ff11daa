"""The messages project on a deployed stage: rows, trainings, promotions."""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from cli.samples.files import sample_files
from cli.target import Target
from cli.training import Source, TrainingEnd, new_run_id, run_training, start_once, upload, wait_for
from noria.records.alias import Promotion

PROJECT = "messages"
_LINEAR = (
    "logistic_regression",
    "logistic_regression_timeless",
    "logistic_regression_text",
    "linear_svm_text",
)


def rows(n_rows: int = 700, project: str = PROJECT, **settings: Any) -> list[Source]:
    """Return sample files of a project."""
    return [*sample_files(project, n_rows=n_rows, **settings)]


def noisy_rows() -> list[Source]:
    """Return few rows with many wrong labels: what a better model can be trained against."""
    return rows(300, noise=0.35)


def train(
    target: Target,
    files: list[Source],
    *,
    project: str = PROJECT,
    run_id: str | None = None,
    follow: Callable[..., None] | None = None,
    recalibrates: bool = False,
    candidates: Sequence[str] = (),
) -> TrainingEnd:
    """Upload the files and train on them by the state machine: all, or some, of the candidates.

    Of `messages` the linear ones, which train in a second each.
    """
    keys, run = upload(target, project, files), run_id or new_run_id()
    candidates = candidates or (_LINEAR if project == PROJECT else ())
    if not candidates:
        return run_training(
            target, project, keys, run, follow or (lambda *_: None), recalibrates=recalibrates
        )
    machine = planned(target, "-".join(candidates)[:60], candidates=candidates)
    client, started = target.client("stepfunctions"), time.monotonic()
    message = {"project": project, "source_keys": keys, "run_id": run}
    message |= {"how": "recalibrate"} if recalibrates else {}
    # The same run may be started again.
    arn = start_once(client, machine, f"{run}-{secrets.token_hex(4)}", message)
    return wait_for(client, arn, follow or (lambda *_: None), started)


def train_by(
    target: Target, machine: str, project: str, keys: Sequence[str], run_id: str
) -> TrainingEnd:
    """Train on files that are uploaded by a machine that `planned` deployed."""
    client, started = target.client("stepfunctions"), time.monotonic()
    message = {"project": project, "source_keys": keys, "run_id": run_id}
    arn = start_once(client, machine, run_id, message)
    return wait_for(client, arn, lambda *_: None, started)


def planned(target: Target, name: str, **plan: Any) -> str:
    """Deploy the training machine once more, as it is when specs say something else.

    Parameters
    ----------
    **plan
        What takes the place of the spec's own in the plan of a run.

    Returns
    -------
    str
        The machine's ARN; the same name again is the same machine.
    """
    client = target.client("stepfunctions")
    for page in client.get_paginator("list_state_machines").paginate():
        for machine in page["stateMachines"]:
            if machine["name"] == name:
                return str(machine["stateMachineArn"])
    found = client.describe_state_machine(stateMachineArn=target.outputs["TrainingStateMachine"])
    definition = json.loads(found["definition"])
    assign = definition["States"]["PrepareDataset"]["Assign"]
    assign["plan"] = f"{{% $merge([$states.result.plan, {json.dumps(plan)}]) %}}"
    made = client.create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=found["roleArn"]
    )
    return str(made["stateMachineArn"])


def promote(target: Target, version: str) -> None:
    """Make a version champion by hand."""
    revision = target.aliases.read(PROJECT).revision
    promotion = Promotion(
        PROJECT, f"t-{version}-{revision}", version, revision, "manual", "test", "test", "now"
    )
    target.aliases.apply(promotion)
