"""A project of two numbers whose files come in time order, in memory."""

import csv
import io
from collections.abc import Iterable
from copy import copy
from typing import Any, Self

from noria.spec.loader import parse_spec
from noria.spec.model import ProjectSpec
from noria.steps.prepare_dataset import (
    PrepareDatasetRequest,
    PrepareDatasetResult,
    prepare_dataset,
)
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts
from tests.support.killing import State
from tests.support.pipeline import Run, run_training
from tests.support.production import START

_SPEC = """
[project]
name = "stream"
task = "{task}"
description = "two numbers in time order"
[dataset]
in_time_order = true
duplicates = "keep"
[dataset.columns]
x = {{ type = "number" }}
z = {{ type = "number" }}
[target]
column = "y"
[split]
kind = "time"
[[features]]
name = "numbers"
kind = "numeric"
columns = ["x", "z"]
[[candidates]]
name = "{algorithm}"
algorithm = "{algorithm}"
[evaluation]
primary_metric = "{metric}"
metrics = {metrics}
folds = 3
bootstrap_replicates = 500
"""


def stream_spec(
    algorithm: str = "logistic_regression",
    metric: str = "accuracy",
    more: Iterable[str] = (),
    **replaced: str,
) -> ProjectSpec:
    """Return the spec.

    Parameters
    ----------
    more : iterable of str
        Metrics beside the primary one.
    **replaced : str
        Of the text: lines under a table's name, before those it has.
    """
    task = "regression" if algorithm == "ridge" else "classification"
    metrics = str([metric, *more]).replace("'", '"')
    text = _SPEC.format(task=task, algorithm=algorithm, metric=metric, metrics=metrics)
    for table, lines in replaced.items():
        head = f"[{table.replace('__', '.')}]\n"
        text = text.replace(head, head + lines + "\n", 1) if head in text else text + head + lines
    return parse_spec(text, source="stream.toml")


def as_csv(header: str, *columns: Iterable[Any]) -> bytes:
    """Return columns as a file."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header.split(","))
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


class Stream:
    """The project: its inbox, its store and its champion."""

    def __init__(self, spec: ProjectSpec) -> None:
        self.spec = spec
        self.state = State(MemoryArtifacts(), MemoryAliases())
        self.keys: list[str] = []

    @property
    def store(self) -> MemoryArtifacts:
        """What is stored."""
        return self.state.artifacts

    @property
    def champion(self) -> str | None:
        """The model version that serves."""
        return self.state.aliases.read("stream").champion

    def copied(self) -> Self:
        """Return the same project, apart."""
        other = copy(self)
        other.state, other.keys = self.state.copied(), [*self.keys]
        return other

    def put(self, body: bytes) -> None:
        """Put the next file into the inbox."""
        self.keys.append(f"inbox/stream/{len(self.keys)}/b{len(self.keys)}.csv")
        self.store.put(self.keys[-1], body)

    def train(self, state: State | None = None, **how: Any) -> Run:
        """Run a training on all files; the same files again are the same run."""
        ports = vars(state or self.state)
        return run_training(
            self.spec, self.keys, self.run_id, clock=FixedClock(START), **ports, **how
        )

    @property
    def run_id(self) -> str:
        """The run of the files that are there."""
        return f"run-{len(self.keys)}"

    def prepared(self, run_id: str = "looked-at") -> PrepareDatasetResult:
        """Prepare all files, as a run's first step does."""
        request = PrepareDatasetRequest("stream", run_id, tuple(self.keys))
        return prepare_dataset(request, spec=self.spec, **vars(self.state))
