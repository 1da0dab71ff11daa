"""Days of traffic on the embedded emulator in minutes: a world that changes, and the loop's answer.

Requests, labels and files go through the real API, the real state machines and the real log; only
the time is simulated, by the clock file that every function of the local stage reads.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import numpy as np

from cli.target import Target
from cli.timeline import Timeline
from cli.training import TrainingEnd, follow_execution, run_training, upload, wait_for
from cli.world import SimulationSettings, World
from infra.names import SPECS
from noria.evaluation.metrics import Answers, measure
from noria.records.alias import Promotion
from noria.spec.loader import load_spec
from noria.storage.hours import hours_between
from noria.storage.keys import answers_prefix, monitoring_key

_CHECK_HOURS = 6
PATIENCE_SECONDS = 60.0
_SETTLE_SECONDS = 0.2


class SimulatedTime:
    """The clock file of the local stage; gone at the end."""

    def __init__(self, target: Target, start: datetime) -> None:
        assert target.emulator is not None
        self._file = target.emulator.clock_file
        self.start = self.now = start

    def __enter__(self) -> Self:
        self.set(self.start)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.unlink(missing_ok=True)

    def set(self, at: datetime) -> None:
        """Move to a time; readers see the old one or the new one, never half of it."""
        partial = self._file.with_suffix(".next")
        partial.write_text(at.isoformat())
        partial.replace(self._file)
        self.now = at

    @property
    def day(self) -> float:
        """Days since the start."""
        return (self.now - self.start) / timedelta(days=1)


@dataclass
class _Asked:
    """One request, its answer and its truth."""

    hour: int
    answer: Mapping[str, Any]
    truth: Any


class Loop:
    """Traffic of requests, hour by hour, and the schedule's checks."""

    def __init__(
        self, target: Target, project: str, settings: SimulationSettings, clock: SimulatedTime
    ) -> None:
        self.target, self.project, self._settings = target, project, settings
        self._spec, self.clock = load_spec(SPECS / f"{project}.toml"), clock
        self.world = World(project, self._spec, settings)
        self._asked: list[_Asked] = []
        self._started_at, self._told = time.time(), set[str]()
        self.name = f"{clock.start:%Y%m%dt%H%M}-sim-{secrets.token_hex(2)}"
        self._first_version = ""
        self.timeline = Timeline(self._spec.evaluation.primary_metric, settings)

    def begin(self) -> None:
        """Train on the sample rows and make that the champion, whatever was before."""
        self._forget()
        keys = upload(self.target, self.project, self.world.files(-1))
        end = run_training(self.target, self.project, keys, self.name, lambda *_: None)
        if end.status != "SUCCEEDED" or not end.output.get("model_version"):
            raise RuntimeError(f"the first training {end.status}: {end.output}")
        self._first_version = version = end.output["model_version"]
        record = self.target.aliases.read(self.project)
        if record.champion != version:
            self.target.aliases.apply(
                Promotion(
                    project=self.project,
                    promotion_id=f"simulation-{version}",
                    model_version=version,
                    expected_revision=record.revision,
                    kind="manual",
                    reason="start of a simulation",
                    actor="noria simulate",
                    at=self.clock.now.isoformat(),
                )
            )
        self.timeline.add(0.0, "champion", version)

    def _forget(self) -> None:
        """Delete what monitoring remembers: of another simulated time it makes no sense."""
        client, bucket = self.target.client("s3"), self.target.outputs["DataBucket"]
        for found in self.target.artifacts.under(monitoring_key(self.project, "")):
            client.delete_object(Bucket=bucket, Key=found.key)

    def day(self, day: int) -> None:
        """Play one day: requests and labels that are due each hour, a file, and four checks."""
        today = self.world.rows(day)
        for hour in range(24):
            number = 24 * day + hour
            self.clock.set(self.clock.start + timedelta(hours=number, minutes=1))
            self.await_rollouts()
            self._ask(number, today[hour * self._settings.rows_per_hour :])
            self._tell_truth(number - self._settings.label_delay_hours)
            if hour == 0:
                self.export(day)
            if (hour + 1) % _CHECK_HOURS == 0:
                self.clock.set(self.clock.start + timedelta(hours=number + 1))
                self._await_profiles()
                self.check(number)
        asked = [a for a in self._asked if a.hour // 24 == day]
        self.score(day, [(a.answer, a.truth) for a in asked])

    def _ask(self, number: int, rows: list[tuple[dict[str, Any], Any]]) -> None:
        mine = rows[: self._settings.rows_per_hour]
        items = [
            {"inputs": inputs, "record_id": f"{self.name}-{number}-{place}"}
            for place, (inputs, _) in enumerate(mine)
        ]
        path = f"/projects/{self.project}/predict/batch"
        answer = self.target.call("POST", path, {"items": items})
        if answer.status != 200:
            self.timeline.add(self.clock.day, "failed request", f"{answer.status}: {answer.body}")
            return
        for result, (_, truth) in zip(answer.body["results"], mine, strict=True):
            if "errors" in result:
                detail = json.dumps(result["errors"], ensure_ascii=False)
                self.timeline.add(self.clock.day, "failed request", detail)
            else:
                self._asked.append(_Asked(number, result, truth))

    def _tell_truth(self, number: int) -> None:
        labels = [
            {"prediction_id": asked.answer["prediction_id"], "label": asked.truth}
            for asked in self._asked
            if asked.hour == number
        ]
        if labels:
            path = f"/projects/{self.project}/feedback"
            self.target.call("POST", path, {"labels": labels})

    def export(self, today: int) -> None:
        """Put the labelled rows that are due into the inbox, as a team's own job would."""
        day = today - 1 - self._settings.label_delay_hours // 24
        if day < 0:
            return
        date = f"{self.clock.start + timedelta(days=day):%Y%m%d}"
        files = [(f"x{date}-{name}", body) for name, body in self.world.files(day)]
        upload(self.target, self.project, files)

    def check(self, number: int) -> None:
        """Run the check of the schedule, and what comes of it."""
        check_id = f"{self.name}-{number}"
        message = {"project": self.project, "check_id": check_id}
        message["at"] = self.clock.now.isoformat()
        end = follow_execution(
            self.target, "MonitoringStateMachine", check_id, message, lambda *_: None
        )
        if end.status != "SUCCEEDED":
            raise RuntimeError(f"check {check_id} {end.status}: {end.output}")
        self.follow(end.output)

    def follow(self, output: Mapping[str, Any]) -> None:
        """Note what a check has found, and see a training that it started to its end."""
        day = self.clock.day
        if output["health"] == "unhealthy" and not self._is_known():
            self.timeline.add(day, "drift", output["summary"])
        if output["training"]:
            self.timeline.add(day, "retraining", ", ".join(output["codes"]))
            self._finish_training(output["training"])

    def _is_known(self) -> bool:
        """Return whether this champion's trouble was told already."""
        said = [what for _, what, _ in self.timeline.events]
        return (
            "drift" in said[max(n for n, w in enumerate(said) if w in ("champion", "promoted")) :]
        )

    def _finish_training(self, arn: str) -> None:
        client = self.target.client("stepfunctions")
        end: TrainingEnd = wait_for(client, arn, lambda *_: None, time.monotonic())
        outcome = end.output.get("outcome", end.status)
        self.timeline.add(self.clock.day, outcome, str(end.output.get("summary", end.output)))
        if outcome == "ChallengerPromoted":
            self.timeline.add(self.clock.day, "promoted", end.output["model_version"])
        self.await_rollouts()

    def await_rollouts(self) -> None:
        """Let running rollouts act until they wait for time again."""
        client = self.target.client("stepfunctions")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while running := self._rollouts(client, "RUNNING"):
            time.sleep(_SETTLE_SECONDS)  # a Wait that is over looks like one that is not
            if all(_is_waiting(client, arn) for arn in running):
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"rollouts do not come to rest: {running}")
        self._tell_rollouts(client)

    def _rollouts(self, client: Any, status: str) -> list[str]:
        """Return this simulation's rollouts of a status."""
        machine = self.target.outputs["RolloutStateMachine"]
        found = client.list_executions(stateMachineArn=machine, statusFilter=status)
        return [
            execution["executionArn"]
            for execution in found["executions"]
            if execution["startDate"].timestamp() >= self._started_at
        ]

    def _tell_rollouts(self, client: Any) -> None:
        for arn in (
            a for status in ("SUCCEEDED", "FAILED") for a in self._rollouts(client, status)
        ):
            if arn in self._told:
                continue
            self._told.add(arn)
            described = client.describe_execution(executionArn=arn)
            output = json.loads(described.get("output") or "{}")
            promoted = output.get("outcome") == "ChallengerPromoted"
            what = "promoted" if promoted else str(output.get("outcome", described["status"]))
            version = output.get("model_version", described["name"])
            if version == self._first_version:
                continue  # promoted by hand, before its own rollout could
            self.timeline.add(self.clock.day, what, f"{version}: {output.get('summary')}")

    def _await_profiles(self) -> None:
        """Wait until the log's chunks are profiled: that goes on beside us."""
        store, deadline = self.target.artifacts, time.monotonic() + PATIENCE_SECONDS
        hours = list(hours_between(self.clock.now - timedelta(hours=_CHECK_HOURS), self.clock.now))
        while True:
            n = sum(1 for hour in hours for _ in store.under(answers_prefix(self.project, hour)))
            if n >= _CHECK_HOURS:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {n} of {_CHECK_HOURS} log chunks were profiled")
            time.sleep(0.1)

    def score(self, day: int, asked: Sequence[tuple[Mapping[str, Any], Any]]) -> None:
        """Measure a day's answers, as the API gives them, on the truth, by the project's metric."""
        if not asked:
            return
        if self._spec.project.task == "regression":
            values = np.array([[answer["value"]] for answer, _ in asked])
            truth: Any = np.array([found for _, found in asked], dtype=np.float64)
            answers = Answers(values, None)
        else:
            positive = self._spec.target.positive
            classes = sorted(asked[0][0]["probabilities"], key=lambda c: (c == positive, c))
            place = {name: number for number, name in enumerate(classes)}
            truth = np.array([place[str(found)] for _, found in asked])
            shares = [[answer["probabilities"][name] for name in classes] for answer, _ in asked]
            decided = np.array([place[answer["prediction"]] for answer, _ in asked])
            answers = Answers(np.array(shares), decided)
        self.timeline.scores.append((day + 0.5, measure(self.timeline.metric, truth, answers)))


def _is_waiting(client: Any, arn: str) -> bool:
    """Return whether an execution sleeps in a Wait."""
    last: str = [event["type"] for event in _history(client, arn)][-1]
    return last == "WaitStateEntered"


def _history(client: Any, arn: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("get_execution_history").paginate(executionArn=arn):
        yield from page["events"]


def simulate_project(
    target: Target, project: str, settings: SimulationSettings, kind: type[Loop] = Loop
) -> Timeline:
    """Play the days, of requests or of another kind, and return what happened.

    The simulated days end about now, so that nothing of them lies in the future afterwards.

    Raises
    ------
    RuntimeError
        The stack does not do its part: a check fails, the log is not profiled.
    """
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start -= timedelta(days=settings.days + 1)
    with SimulatedTime(target, start) as clock:
        loop = kind(target, project, settings, clock)
        loop.begin()
        for day in range(settings.days):
            loop.day(day)
    return loop.timeline
