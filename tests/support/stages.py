"""A stage for tests: the app deployed on an embedded emulator, and emptied between modules."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.target import HttpAnswer, Target
from infra.local.deploy import deploy
from infra.local.emulator import Emulator
from noria_aws.aws import access_items
from tests.support.documented import require_documented, route_of
from tests.support.expressions import keep_expressions
from tests.support.rights import keep_rights

_FORGET_SECONDS = 60.0


class DocumentedTarget(Target):
    """A stage whose every answer is held to the API's document."""

    def call(self, method: str, path: str, body: Any = None, *, scope: str = "user") -> HttpAnswer:
        """Call the API; AssertionError where the document has no such answer."""
        answer = super().call(method, path, body, scope=scope)
        route = route_of(method, path)
        if route is not None:
            require_documented(route, answer.status, answer.body)
        return answer


@contextmanager
def deployed_stage(folder: Path) -> Iterator[Target]:
    """Yield a local stage on a free loopback port; it takes some twenty seconds to deploy."""
    target = DocumentedTarget("local")
    target.emulator = Emulator(folder, _free_port())
    target.emulator.start()
    try:
        deploy(target.emulator, lambda _: None)
        yield target
        keep_rights(target, folder / "calls.jsonl")
        keep_expressions(folder / "expressions.jsonl")
    finally:
        target.emulator.stop()


def emptied(stage: Target) -> Target:
    """Return the stage as it was deployed: no execution runs, no object or record is left.

    Its functions stay warm; predict has forgotten every champion, which takes it some seconds.
    """
    machines = stage.client("stepfunctions")
    for name, arn in stage.outputs.items():
        if name.endswith("StateMachine"):
            running = machines.list_executions(stateMachineArn=arn, statusFilter="RUNNING")
            for execution in running["executions"]:
                machines.stop_execution(executionArn=execution["executionArn"])
    s3, bucket = stage.client("s3"), stage.outputs["DataBucket"]
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        keys = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
        if keys:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    for table in (stage.outputs["AliasTable"], stage.outputs["AccessTable"]):
        _empty_table(stage, table)
    deadline = time.monotonic() + _FORGET_SECONDS
    while any(state["status"] == "ok" for state in _states(stage)):
        assert time.monotonic() < deadline, "predict still serves champions that are gone"
        time.sleep(0.5)
    return stage


def _empty_table(stage: Target, table: str) -> None:
    """Delete every item but the API's keys: those that tests have made stay good."""
    records = stage.client("dynamodb")
    for page in records.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            if item["pk"]["S"] != access_items.KEYS:
                key = {name: item[name] for name in ("pk", "sk")}
                records.delete_item(TableName=table, Key=key)


def _states(stage: Target) -> list[dict[str, Any]]:
    return [*stage.call("GET", "/health").body["projects"].values()]


def workers_of(folder: Path, step: str) -> list[int]:
    """Return the emulator's Lambda processes of one step."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode("utf-8", "replace").lower()
        except OSError:
            continue
        if str(folder).lower() in command and step.replace("_", "") in command:
            found.append(int(path.parent.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
