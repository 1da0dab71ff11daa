"""A project that lives on files, month by month: what each file says, and what the loop is worth.

Each month's file is scored by the champion as a batch, its rows are compared with training, labels
of its rows come by record id and as training rows, the check decides, and a training runs where it
says so; all by the real steps, in memory. Beside it stands the first model, never trained again.

`make bench-files` plays the campaigns of a bank (`bank_additional_p1.csv` and those after it in
`../shared/data/customers`, in the order of their numbers) with the spec of `customers`, and writes
`build/files.json`.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from infra.names import SPECS
from noria.columnar.models import BatchModels
from noria.evaluation.metrics import Answers, measure
from noria.inference.loading import load_model_version
from noria.promotion.by_hand import ByHand, promote_by_hand
from noria.records.batch import BatchOutcome
from noria.records.codec import from_bytes
from noria.records.performance import JobPerformance
from noria.records.prediction import Row
from noria.registry.versions import read_manifest
from noria.spec.loader import load_project
from noria.spec.model import ProjectSpec
from noria.steps.check_batch import CheckBatchRequest, check_batch
from noria.steps.close_batch import CloseBatchRequest, close_batch
from noria.steps.file_labels import FileLabelsRequest, file_labels
from noria.steps.plan_batch import PlanBatchRequest, plan_batch
from noria.steps.score_part import ScorePartRequest, score_part
from noria.storage.keys import (
    OUTCOME,
    PERFORMANCE,
    batch_inbox_prefix,
    batch_key,
    labels_inbox_prefix,
)
from tests.benchmarks.data import DATA
from tests.benchmarks.judgement import World
from tests.benchmarks.size import IS_SMOKE, results_file, sized
from tests.support.pipeline import refitted

_ID, _TARGET = "key_value", "y"
_MONTH = timedelta(days=30)
_EVERY = sized(1, smoke=6)  # of so many rows one is played
_CANDIDATES: tuple[str, ...] = sized((), smoke=("logistic_regression",))  # none: all of the spec
_FILE = re.compile(r"bank_additional_p(\d+)\.csv")


@dataclass(frozen=True)
class Month:
    """What became of one file."""

    file: str
    n_rows: int
    model_version: str  # that answered it
    outcome: str  # of the batch
    health: str
    drifted: tuple[str, ...]
    realised: float | None  # by the labels of its rows, as monitoring measured it
    codes: tuple[str, ...]  # of the decision, once the labels were there
    training: str
    with_loop: float  # ROC AUC of what answered
    without: float  # of the first model


class _Files:
    """The project, and the steps of a file."""

    def __init__(self, spec: ProjectSpec) -> None:
        self.world, self.spec = World(spec), spec
        self.models = BatchModels(self.world.artifacts)

    def score(self, name: str, rows: Sequence[Row]) -> BatchOutcome:
        """Score a file as the batch machine does; what is held back is released by a person."""
        w, spec = self.world, self.spec
        key = f"{batch_inbox_prefix(spec.name)}{name}.csv"
        w.artifacts.put(key, _as_csv([{k: v for k, v in r.items() if k != _TARGET} for r in rows]))
        here: dict[str, Any] = {"spec": spec, "store": w.artifacts, "clock": w.clock}
        plan = plan_batch(PlanBatchRequest(spec.name, key, name, name), aliases=w.aliases, **here)
        for part in range(plan.n_parts):
            score_part(
                ScorePartRequest(spec.name, plan.job_id, part),
                spec=spec, artifacts=w.artifacts, models=self.models,
            )  # fmt: skip
        check = check_batch(
            CheckBatchRequest(spec.name, plan.job_id), aliases=w.aliases, state=w.state, **here
        ).check
        closed = close_batch(CloseBatchRequest(spec.name, key, name, None, check), **here)
        if closed.outcome == "BatchHeld":
            close_batch(CloseBatchRequest(spec.name, key, name, release=plan.job_id), **here)
        outcome = batch_key(spec.name, plan.job_id, OUTCOME)
        return from_bytes(BatchOutcome, w.artifacts.get(outcome))

    def label(self, name: str, rows: Sequence[Row]) -> int:
        """File the labels of a file by record id; return how many."""
        w = self.world
        key = f"{labels_inbox_prefix(self.spec.name)}{name}.csv"
        w.artifacts.put(key, _as_csv([{_ID: row[_ID], _TARGET: row[_TARGET]} for row in rows]))
        w.artifacts.modified[key] = w.clock.at
        return file_labels(
            FileLabelsRequest(self.spec.name, key),
            spec=self.spec, artifacts=w.artifacts, aliases=w.aliases, clock=w.clock,
        ).n_labels  # fmt: skip

    def realised(self, job_id: str) -> float | None:
        """Return how good a file's answers were by its labels."""
        key = batch_key(self.spec.name, job_id, PERFORMANCE)
        found = from_bytes(JobPerformance, self.world.artifacts.get(key))
        primary = found.realised.get(self.spec.evaluation.primary_metric)
        return None if primary is None else primary.value


def play(spec: ProjectSpec, files: Sequence[tuple[str, list[Row]]]) -> Iterator[Month]:
    """Train on the first file, then play the others."""
    loop = _Files(spec)
    world = loop.world
    never = _first_champion(world, files[0])
    for number, (file, rows) in enumerate(files[1:]):
        world.clock.at += _MONTH
        before = loop.score(file, rows)
        world.clock.at += timedelta(hours=1)
        assert loop.label(file, rows) == len(rows)
        world.put(file, rows)
        world.clock.at += timedelta(hours=1)
        _, decision = world.check(f"check-{number}")
        training = ""
        if decision.retrain:
            run = world.train(decision.source_keys, decision.run_id)
            training = run.outcome
            sources = ", ".join(_stem(key) for key in decision.source_keys)
            print(f"{file}: on {sources}: {run.summary}", file=sys.stderr, flush=True)
        yield Month(
            file=file,
            n_rows=len(rows),
            model_version=str(before.model_version),
            outcome="held" if before.released_at else "published",
            health=before.health,
            drifted=before.drifted,
            realised=loop.realised(before.job_id),
            codes=decision.codes,
            training=training,
            with_loop=_auc(loop, str(before.model_version), rows),
            without=_auc(loop, never, rows),
        )


def _first_champion(world: World, first: tuple[str, list[Row]]) -> str:
    """Train on the first file; what the gate refuses is promoted by hand, or nothing would answer."""
    spec, artifacts = world.spec, world.artifacts
    run = world.train([world.put(*first)], "first")
    print(f"the first model: {run.outcome}: {run.summary}", file=sys.stderr, flush=True)
    version = str(run.model_version)
    if run.outcome != "ChallengerPromoted":
        if spec.serves_refitted:
            lineage = read_manifest(artifacts, spec.name, version).lineage
            assert lineage is not None
            version = refitted(
                spec, "first", lineage.dataset_version, str(run.candidate), version,
                artifacts=artifacts, clock=world.clock,
            )  # fmt: skip
        by = ByHand("the benchmark", "a project must begin")
        promote_by_hand(
            spec.name, version, by, artifacts=artifacts, aliases=world.aliases, clock=world.clock
        )
    return str(world.aliases.read(spec.name).champion)


def _auc(loop: _Files, version: str, rows: Sequence[Row]) -> float:
    """Return the ROC AUC of one version on a file, row by row."""
    predictor = load_model_version(loop.world.artifacts, loop.spec.name, version)
    outputs, truth = [], []
    for row in rows:
        inputs: Mapping[str, Any] = {
            column: float(row[column]) if about.type == "number" else row[column]
            for column, about in predictor.columns.items()
            if row.get(column) not in (None, "", *predictor.missing)
        }
        outputs.append(predictor.answer(inputs, from_file=True).outputs)
        truth.append(predictor.classes.index(predictor.target.read(row[_TARGET])[0]))
    return measure("roc_auc", np.array(truth), Answers(np.array(outputs), None))


def _stem(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".csv")


def _as_csv(rows: Sequence[Row]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _files() -> list[tuple[str, list[Row]]]:
    """Return the campaigns in the order of their numbers, each row with an id."""
    found = []
    for path in (DATA / "customers").glob("bank_additional_p*.csv"):
        if match := _FILE.fullmatch(path.name):
            with path.open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.DictReader(stream))[::_EVERY]
            name = f"p{match[1]}"
            keyed: list[Row] = [{_ID: f"{name}-{n}", **row} for n, row in enumerate(rows)]
            found.append((int(match[1]), name, keyed))
    return [(name, rows) for _, name, rows in sorted(found)]


def main() -> None:
    """Play the bank's campaigns and write `build/files.json`."""
    spec = load_project("customers", SPECS)
    rollout = spec.rollout.model_copy(update={"steps": ()})  # nobody asks a file over the API
    spec = spec.model_copy(update={"rollout": rollout})
    if _CANDIDATES:
        chosen = tuple(c for c in spec.candidates if c.name in _CANDIDATES)
        spec = spec.model_copy(update={"candidates": chosen})
    files = _files()[: sized(None, smoke=3)]
    table, found = Table(title="customers, file by file"), list[Month]()
    for column in ("file", "rows", "answered by", "results", "health", "columns that drifted",
                   "on labels", "decision", "training", "with the loop", "without"):  # fmt: skip
        table.add_column(column)
    for month in play(spec, files):
        found.append(month)
        drifted = f"{len(month.drifted)}: {', '.join(month.drifted[:3])}" if month.drifted else ""
        realised = "" if month.realised is None else f"{month.realised:.3f}"
        table.add_row(
            month.file, f"{month.n_rows:,}", month.model_version[:24], month.outcome, month.health,
            drifted, realised, ", ".join(month.codes), month.training,
            f"{month.with_loop:.3f}", f"{month.without:.3f}",
        )  # fmt: skip
    console = Console(width=190)
    console.print(table)
    means = [float(np.mean([getattr(m, who) for m in found])) for who in ("with_loop", "without")]
    path = results_file("files.json")
    path.write_text(json.dumps([asdict(month) for month in found], indent=2) + "\n")
    note = " (smoke)" if IS_SMOKE else ""
    print(
        f"wrote {path.name}{note}; mean ROC AUC {means[0]:.3f} with the loop, {means[1]:.3f} without"
    )


if __name__ == "__main__":
    main()
