"""Days of files on the embedded emulator: one to score a day, its labels some days later."""

import csv
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from cli.batch import put_batch
from cli.simulation import PATIENCE_SECONDS, Loop
from cli.training import wait_for
from noria.storage.keys import OUTCOME, batch_check_id, batch_key

_HOUR_OF_FILE, _HOUR_OF_CHECK = 6, 23
_POLL_SECONDS = 0.2


class FileLoop(Loop):
    """No request at all: a batch a day, the check that it starts, and one by the schedule."""

    def day(self, day: int) -> None:
        """Play one day: labelled rows that are due, the day's file, its check, the schedule's."""
        rows = self.world.rows(day)
        self.clock.set(self.clock.start + timedelta(days=day, hours=1))
        self.await_rollouts()
        self.export(day)
        self.clock.set(self.clock.start + timedelta(days=day, hours=_HOUR_OF_FILE))
        self.await_rollouts()
        body, truth_of = _file(rows)
        outcome = self._scored(day, body)
        answers = self._answers(outcome) if outcome["result_key"] else []
        self.score(day, [(answer, truth_of[line]) for line, answer in answers])
        if outcome["health"] != "insufficient_data":
            self._follow_check(outcome["job_id"])
        self.clock.set(self.clock.start + timedelta(days=day, hours=_HOUR_OF_CHECK))
        self.await_rollouts()
        self.check(24 * day + _HOUR_OF_CHECK)

    def _scored(self, day: int, body: bytes) -> dict[str, Any]:
        """Put a day's file into the inbox and wait for its end."""
        job_id = f"{self.name}-{day}"
        put_batch(self.target, self.project, job_id, "rows.csv", body)
        key, store = batch_key(self.project, job_id, OUTCOME), self.target.artifacts
        self._await(lambda: store.exists(key), f"batch {job_id} does not end")
        outcome: dict[str, Any] = json.loads(store.get(key))
        if outcome["outcome"] == "BatchHeld":
            self.timeline.add(self.clock.day, "held", outcome["summary"])
        elif outcome["outcome"] != "BatchCompleted":
            self.timeline.add(self.clock.day, "failed request", outcome["summary"])
        return outcome

    def _answers(self, outcome: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
        """Return (line of the file, answer as the API gives it) of the results."""
        text = self.target.artifacts.get(outcome["result_key"]).decode("utf-8")
        found = []
        for row in csv.DictReader(io.StringIO(text)):
            shares = {
                name.removeprefix("p_"): float(cell)
                for name, cell in row.items()
                if name.startswith("p_")
            }
            said = row["prediction"]
            answer: dict[str, Any] = (
                {"prediction": said, "probabilities": shares} if shares else {"value": float(said)}
            )
            found.append((int(row["line"]), answer))
        return found

    def _follow_check(self, job_id: str) -> None:
        """See the check that a batch has started to its end, and a training that it starts."""
        client = self.target.client("stepfunctions")
        machine = self.target.outputs["MonitoringStateMachine"]
        arn = machine.replace(":stateMachine:", ":execution:", 1) + f":{batch_check_id(job_id)}"

        def is_there() -> bool:
            try:
                client.describe_execution(executionArn=arn)
            except client.exceptions.ExecutionDoesNotExist:
                return False
            return True

        self._await(is_there, f"batch {job_id} has started no check")
        end = wait_for(client, arn, lambda *_: None, time.monotonic())
        if end.status != "SUCCEEDED":
            raise RuntimeError(f"the check of batch {job_id} {end.status}: {end.output}")
        self.follow(end.output)

    def _await(self, happens: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happens():
            if time.monotonic() > deadline:
                raise RuntimeError(otherwise)
            time.sleep(_POLL_SECONDS)


def _file(rows: Sequence[tuple[Mapping[str, Any], Any]]) -> tuple[bytes, dict[int, Any]]:
    """Return rows as CSV, and the truth by line of the file."""
    columns = list(dict.fromkeys(name for inputs, _ in rows for name in inputs))
    out, truth_of, line = io.StringIO(newline=""), dict[int, Any](), 2
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for inputs, truth in rows:
        truth_of[line] = truth
        writer.writerow(inputs)
        line += 1 + sum(str(cell).count("\n") for cell in inputs.values())
    return out.getvalue().encode(), truth_of
