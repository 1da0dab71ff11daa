"""`noria doctor`: is this stage whole, is the account ready for it, and does it answer."""

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import typer

from cli.batch import followed
from cli.display import console, table
from cli.shared import Json, Stage, checked, show, told
from cli.target import Target
from cli.training import new_run_id, run_training, upload
from infra.names import LOCAL_STAGE as LOCAL
from noria.errors import NoriaError
from noria.storage.hashing import canonical_json
from noria.storage.hours import hour_name
from noria.storage.keys import JOB, TRAIN, batch_inbox_prefix, batch_key, labels_prefix
from noria_aws.aws.clock import SystemClock

State = Literal["ok", "warning", "fault"]
Seen = tuple[State, str, str]  # what was found, and what to do
_FEW_EXECUTIONS = 100  # at once: a new account may have 10, most have 1,000
_WHOLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
_LEAST_BOOTSTRAP = 21  # the version of the bootstrap stack that the pinned CDK asks for


class Finding(NamedTuple):
    """What one look found."""

    check: str
    state: State
    text: str
    advice: str = ""


class Look(NamedTuple):
    """One thing to look at."""

    name: str
    see: Callable[[Target], Seen]
    is_needed: bool = False  # a look that fails is a fault: nothing works without it


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    smoke: Annotated[
        str | None,
        typer.Option(help="A project with a champion: ask it for an answer, a batch, a training."),
    ] = None,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Look at a stage and its account; say what is wrong and what to do.

    The exit code is 1 where something is broken; a warning leaves it 0. `--smoke` sends a row, a
    label, a batch of ten rows, and a file of ten rows to train on, which are too few to train and
    so cannot promote. It removes what it uploaded, the label too. The answer, the batch's page and
    the quarantine of the ten rows stay until they expire, and people get the alert of a dataset
    that was refused.
    """
    with told():
        target, found = Target(stage), []
        looks = [*LOOKS, *(_smokes(checked(smoke)) if smoke else ())]
        for look in looks:
            if not as_json:
                console.print(f"{look.name} …", style="dim")
            found.append(_looked(look, target))
        is_broken = any(finding.state == "fault" for finding in found)
        data = {"stage": stage, "ok": not is_broken, "findings": [f._asdict() for f in found]}
        show(as_json, data, lambda: _table(stage, found))
        if is_broken:
            raise typer.Exit(1)


def _table(stage: str, found: Sequence[Finding]) -> Any:
    rows = [(f.state, f.check, f.text, f.advice) for f in found]
    return table(f"Stage {stage}", ("", "looked at", "found", "what to do"), rows)


def _looked(look: Look, target: Target) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return Finding(look.name, *look.see(target))
    except (ClientError, BotoCoreError) as error:
        state: State = "fault" if look.is_needed else "warning"
        return Finding(look.name, state, f"cannot look: {error}", "check the credentials' rights")
    except (NoriaError, RuntimeError, OSError, LookupError) as error:
        return Finding(look.name, "fault", str(error), "")


def _account(target: Target) -> Seen:
    caller, region = target.client("sts").get_caller_identity(), target.client("sts").meta
    return "ok", f"{caller['Account']} in {region.region_name}", ""


def _bootstrap(target: Target) -> Seen:
    client = target.client("ssm")
    try:
        found = client.get_parameter(Name="/cdk-bootstrap/hnb659fds/version")
    except client.exceptions.ParameterNotFound:
        return "fault", "not bootstrapped", "cdk bootstrap, once per account and region"
    version = int(found["Parameter"]["Value"])
    if version < _LEAST_BOOTSTRAP:
        return "warning", f"version {version}", f"cdk bootstrap again: {_LEAST_BOOTSTRAP} is asked"
    return "ok", f"version {version}", ""


def _stacks(target: Target) -> Seen:
    from botocore.exceptions import ClientError

    states = {}
    for stack in ("storage", "platform"):
        name = f"noria-{target.stage}-{stack}"
        try:
            found = target.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            return "fault", f"stack {name} is not there", f"make deploy STAGE={target.stage}"
        states[stack] = found["StackStatus"]
    text = ", ".join(f"{name} {state}" for name, state in states.items())
    advice = "read the stack's events, then deploy again"
    if all(state in _WHOLE for state in states.values()):
        return "ok", text, ""
    # What was there before the last deployment serves on.
    is_back = all(state in (*_WHOLE, "UPDATE_ROLLBACK_COMPLETE") for state in states.values())
    return ("warning" if is_back else "fault"), text, advice


def _versions(target: Target) -> Seen:
    from infra.bundling import code_version

    client, here = target.client("lambda"), {code_version("arm64"), code_version("x86_64")}
    deployed = set()
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            if function["FunctionName"].startswith(f"noria-{target.stage}-platform-"):
                variables = function.get("Environment", {}).get("Variables", {})
                deployed.add(variables.get("NORIA_CODE_VERSION", "none"))
    text = f"deployed {', '.join(sorted(deployed))}; here {', '.join(sorted(here))}"
    if not deployed <= here:
        return "warning", text, "deploy again, or use the checkout that was deployed"
    return "ok", text, ""


def _executions(target: Target) -> Seen:
    limits = target.client("lambda").get_account_settings()["AccountLimit"]
    n = limits["ConcurrentExecutions"]
    if n < _FEW_EXECUTIONS:
        return "warning", f"{n} at once", (
            "ask AWS for 1,000 (Service Quotas, Lambda); a batch takes what predict needs"
        )  # fmt: skip
    return "ok", f"{n} at once", ""


def _api_logs(target: Target) -> Seen:
    role = target.client("apigateway").get_account().get("cloudwatchRoleArn")
    if not role:
        return "warning", "API Gateway has no role to write logs", "deploy the platform stack again"
    return "ok", "API Gateway may write them", ""


def _addresses(target: Target) -> Seen:
    addresses = target.alert_addresses()
    waiting = [address for address, is_confirmed in addresses.items() if not is_confirmed]
    if not addresses:
        return "warning", "no address", "deploy with -c noria:alert_email=ADDRESS"
    if waiting:
        return "warning", f"not confirmed: {', '.join(waiting)}", "open the link that AWS has sent"
    return "ok", f"{len(addresses)} confirmed", ""


def _chats(target: Target) -> Seen:
    name = target.outputs.get("ChannelsSecret")
    if name is None:
        return "ok", "no spec names a chat", ""
    client = target.client("secretsmanager")
    value = client.get_secret_value(SecretId=name).get("SecretString", "")
    try:
        filled = {chat for of_project in json.loads(value).values() for chat in of_project}
    except (ValueError, AttributeError):
        filled = set()
    if not filled:
        return "warning", f"the secret {name} holds no address", "docs/operations.md, Set up alerts"
    return "ok", ", ".join(sorted(filled)), ""


def _alarms(target: Target) -> Seen:
    prefix = f"noria-{target.stage}-platform"
    pages = target.client("cloudwatch").get_paginator("describe_alarms")
    names = [
        alarm["AlarmName"]
        for page in pages.paginate(StateValue="ALARM", AlarmNamePrefix=prefix)
        for alarm in page["MetricAlarms"]
    ]
    if names:
        return (
            "warning",
            ", ".join(names),
            "each says what it counts; docs/operations.md says what to do",
        )
    return "ok", "none is in ALARM", ""


def _advice(status: int) -> str:
    return "see: noria keys list" if status in (401, 403) else "read predict's log"


def _health(target: Target) -> Seen:
    answer = target.call("GET", "/health")
    if answer.status != 200:
        return (
            "fault",
            f"status {answer.status}: {answer.body.get('detail')}",
            _advice(answer.status),
        )
    states = answer.body["projects"]
    bad = {name: state["reason"] for name, state in states.items() if state["status"] != "ok"}
    if bad:
        text = "; ".join(f"{name}: {reason}" for name, reason in bad.items())
        return "warning", text, "train what has no champion: noria train PROJECT"
    return "ok", f"{len(states)} projects answer", ""


LOOKS = (
    Look("account", _account, is_needed=True),
    Look("bootstrap", _bootstrap),
    Look("stacks", _stacks, is_needed=True),
    Look("code", _versions),
    Look("executions of Lambda", _executions),
    Look("access log", _api_logs),
    Look("alert addresses", _addresses),
    Look("chats", _chats),
    Look("alarms", _alarms),
    Look("health", _health, is_needed=True),
)


def _smokes(project: str) -> list[Look]:
    """Return the looks that act: an answer and its label, a batch, a training."""
    steps = {"answer and label": _answer, "batch of ten rows": _batch, "training": _training}
    return [
        Look(f"{project}: {name}", partial(step, project), is_needed=True)
        for name, step in steps.items()
    ]


def _rows(project: str, target: Target) -> list[dict[str, Any]]:
    """Return ten rows that the champion was trained on, with the columns that it reads."""
    from noria.data.versions import read_rows
    from noria.registry.versions import read_manifest

    version = target.aliases.read(project).require_champion()
    answer = target.call("GET", f"/projects/{project}/model")
    if answer.status != 200:
        raise RuntimeError(f"status {answer.status}: {answer.body.get('detail')}")
    columns = answer.body["columns"]
    lineage = read_manifest(target.artifacts, project, version).lineage
    if lineage is None:
        raise RuntimeError(f"{version} has no lineage: no row to send is known")
    rows = read_rows(target.artifacts, project, lineage.dataset_version, TRAIN)[:10]
    return [{name: row[name] for name in columns if row.get(name) is not None} for row in rows]


def _answer(project: str, target: Target) -> Seen:
    started, hours = time.monotonic(), {hour_name(SystemClock().now())}
    answer = target.call(
        "POST", f"/projects/{project}/predict", {"inputs": _rows(project, target)[0]}
    )
    if answer.status != 200:
        return (
            "fault",
            f"status {answer.status}: {answer.body.get('detail')}",
            _advice(answer.status),
        )
    seconds = time.monotonic() - started
    said, label = answer.body["prediction_id"], answer.body["prediction"]
    body = {"prediction_id": said, "label": label}
    filed = target.call("POST", f"/projects/{project}/feedback", body)
    if filed.status != 200:
        return "fault", f"label: status {filed.status}: {filed.body.get('detail')}", ""
    hours.add(hour_name(SystemClock().now()))
    found = [o.key for h in hours for o in target.artifacts.under(labels_prefix(project, h))]
    ours = [key for key in found if said in _text(target, key)]
    _remove(target, ours)  # the model's own word is no truth
    if not ours:
        return "warning", "the label was taken, and is not where labels lie", "look under labels/"
    return "ok", f"answered in {seconds:.2f} s; the label is removed, the log keeps the answer", ""


def _batch(project: str, target: Target) -> Seen:
    rows, job_id, name = _rows(project, target), new_run_id(), "doctor.csv"
    out = io.StringIO()
    writer = csv.DictWriter(out, sorted({column for row in rows for column in row}))
    writer.writeheader()
    writer.writerows(rows)
    job = {"filename": name, "limit": None}
    target.artifacts.put(batch_key(project, job_id, JOB), canonical_json(job))
    key = f"{batch_inbox_prefix(project)}{job_id}/{name}"
    target.artifacts.put(key, out.getvalue().encode())
    try:
        outcome = followed(target, project, job_id, quiet=True)
    finally:
        _remove(target, [key])
    results = [outcome[part] for part in ("result_key", "refused_key") if outcome[part]]
    _remove(target, results)
    if outcome["outcome"] != "BatchCompleted":
        return "fault", f"{outcome['outcome']}: {outcome['summary']}", "read the batch's execution"
    return "ok", f"{outcome['summary']}; its files are removed", ""


def _training(project: str, target: Target) -> Seen:
    body = b"".join(canonical_json(row) + b"\n" for row in _rows(project, target))
    keys = upload(target, project, [("doctor.jsonl", body)])
    try:
        end = run_training(target, project, keys, f"doctor-{new_run_id()}", lambda *_: None)
    finally:  # a file without labels would spoil later trainings
        _remove(target, keys)
    outcome = end.output.get("outcome")
    if end.status != "SUCCEEDED" or outcome != "DatasetRejected":
        return "fault", f"{end.status}: {outcome or end.output}", "read the training's execution"
    return "ok", "ran to its end and refused ten rows, as it must; the file is removed", ""


def _text(target: Target, key: str) -> str:
    return target.artifacts.get(key).decode()


def _remove(target: Target, keys: Sequence[str]) -> None:
    client, bucket = target.client("s3"), target.outputs["DataBucket"]
    for key in keys:
        client.delete_object(Bucket=bucket, Key=key)
