"""Upload source files, run the training state machine, follow it."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.target import Target
from noria.data.source_lists import passed_keys
from noria.storage.hashing import sha256_hex
from noria.storage.keys import RESULT, SOURCE_KEYS, inbox_key, run_key

if TYPE_CHECKING:
    from noria.spec.model import ProjectSpec

# AWS allows an account some ten looks a second; a short execution is not kept waiting.
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.1, 1.2, 1.0
_PAGE = 20  # events
_BUSINESS_STATES = frozenset({"Task", "Map"})

Source = tuple[str, bytes | Path]  # (file name, content or where it lies)
# (state, "started" | "running" | "finished", seconds)
Follow = Callable[[str, str, float], None]
_SIGN_SECONDS = 5.0  # after which a state that takes long says how far it is


@dataclass(frozen=True)
class TrainingEnd:
    """How an execution ended."""

    execution_arn: str
    status: str  # SUCCEEDED, FAILED, TIMED_OUT, ABORTED
    output: dict[str, Any]  # the state machine's; error and cause when it failed
    seconds: float


def new_run_id() -> str:
    """Return a run id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(2)}"


def named_sources(paths: Sequence[Path]) -> list[Source]:
    """Return source files by name; ValueError for one that is not there."""
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file")
    return [(path.name, path) for path in paths]


def upload(target: Target, project: str, sources: Sequence[Source]) -> list[str]:
    """Put source files into the inbox and return their keys; equal content is one object."""
    keys = []
    for name, content in sources:
        if isinstance(content, Path):
            with content.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            key = inbox_key(project, digest, name)
            target.client("s3").upload_file(str(content), target.outputs["DataBucket"], key)
        else:
            key = inbox_key(project, sha256_hex(content), name)
            target.artifacts.put(key, content)
        keys.append(key)
    return keys


def champion_to_refit(
    target: Target, spec: "ProjectSpec", *, refit: bool, recalibrate: bool
) -> str | None:
    """Return the version whose parameters are used again, if so asked.

    Raises
    ------
    NoChampionError
        There is none to refit or recalibrate.
    ValueError
        Both are asked for, or the project cannot recalibrate.
    """
    if refit and recalibrate:
        raise ValueError("--refit trains and --recalibrate does not: name one of them")
    if recalibrate and not spec.can_recalibrate:
        raise ValueError(f"{spec.name}: recalibration needs calibrated classes and a split by time")
    champion = None
    if refit or recalibrate:
        champion = target.aliases.read(spec.name).require_champion()
    return champion if refit else None


def run_training(
    target: Target,
    project: str,
    source_keys: list[str],
    run_id: str,
    follow: Follow,
    *,
    refit_of: str | None = None,
    recalibrates: bool = False,
) -> TrainingEnd:
    """Start a training, follow its states, and return how it ended."""
    passed = passed_keys(target.artifacts, source_keys, run_key(project, run_id, SOURCE_KEYS))
    message: dict[str, Any] = {"project": project, "source_keys": passed, "run_id": run_id}
    message |= {"refit_of": refit_of} if refit_of else {}
    message |= {"how": "recalibrate"} if recalibrates else {}
    return follow_execution(target, "TrainingStateMachine", run_id, message, follow)


def candidates_done(target: Target, project: str, run_id: str) -> int:
    """Return how many candidates of a run have ended: each leaves what came of it."""
    found = target.artifacts.under(run_key(project, run_id, "candidates/"))
    return sum(file.key.endswith(f"/{RESULT}") for file in found)


def follow_execution(
    target: Target, machine: str, name: str, message: dict[str, Any], follow: Follow
) -> TrainingEnd:
    """Start an execution of one of the stack's machines, by its output, and follow it."""
    client, started = target.client("stepfunctions"), time.monotonic()
    name = f"{name}-{secrets.token_hex(4)}"  # the same run may be started again
    arn = start_once(client, target.outputs[machine], name, message)
    return wait_for(client, arn, follow, started)


def start_once(client: Any, machine_arn: str, name: str, message: dict[str, Any]) -> str:
    """Start an execution whose name is new, and return its ARN.

    The SDK sends a request again whose answer it did not get. If the first one had arrived, an
    execution of this name is there already, and it is this one.
    """
    try:
        started = client.start_execution(
            stateMachineArn=machine_arn, name=name, input=json.dumps(message)
        )
    except client.exceptions.ExecutionAlreadyExists:
        return machine_arn.replace(":stateMachine:", ":execution:", 1) + f":{name}"
    return str(started["executionArn"])


def wait_for(client: Any, arn: str, follow: Follow, started: float) -> TrainingEnd:
    """Follow a running execution to its end, ever more patiently: up to a look a second."""
    history, pause = _History(client, arn), _FIRST_PAUSE
    while True:
        found = client.describe_execution(executionArn=arn)
        history.tell_news(follow)
        if found["status"] != "RUNNING":
            break
        history.tell_sign(follow, time.monotonic())
        time.sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
    output = json.loads(found.get("output") or "{}")
    if found["status"] != "SUCCEEDED":
        output = {"error": found.get("error"), "cause": found.get("cause")}
    return TrainingEnd(arn, found["status"], output, time.monotonic() - started)


class _History:
    """The events of one execution, each told once: only what is new is read."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client, self._arn = client, arn
        self._last = 0  # id of the newest event that was told
        self._entered: dict[str, datetime] = {}
        self._state, self._is_map, self._since, self._signed = "", False, 0.0, 0.0

    def tell_sign(self, follow: Follow, now: float) -> None:
        """Tell every few seconds how far the state is that takes long."""
        if self._state and now - self._signed >= _SIGN_SECONDS:
            follow(self._state, "running", now - self._since)
            self._signed = now

    def tell_news(self, follow: Follow) -> None:
        """Tell of the states that began and ended since the last look."""
        for event in reversed([*self._news()]):
            self._last, kind = event["id"], event["type"]
            if kind.endswith("StateEntered"):
                name = event["stateEnteredEventDetails"]["name"]
                self._entered[name] = event["timestamp"]
                if kind.removesuffix("StateEntered") in _BUSINESS_STATES:
                    follow(name, "started", 0.0)
                    if kind.startswith("Map") or not self._is_map:  # its parts have states too
                        self._state, self._is_map = name, kind.startswith("Map")
                        self._since = self._signed = time.monotonic()
            elif kind.endswith("StateExited"):
                name = event["stateExitedEventDetails"]["name"]
                if kind.removesuffix("StateExited") in _BUSINESS_STATES:
                    seconds = (event["timestamp"] - self._entered[name]).total_seconds()
                    follow(name, "finished", seconds)
                    if name == self._state:
                        self._state, self._is_map = "", False

    def _news(self) -> Iterator[dict[str, Any]]:
        """Yield the events after the last one told, newest first."""
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=self._arn,
            reverseOrder=True,
            includeExecutionData=False,
            PaginationConfig={"PageSize": _PAGE},
        )
        for page in pages:
            for event in page["events"]:
                if event["id"] <= self._last:
                    return
                yield event
