"""A trial by fire: Noria's own judgement on real, shifting data, block by block.

Each set is played through the real steps, in memory: train on the first blocks, answer the next
one, file its labels late, check, train again where the check decides so, promote where the gate
does. Beside it stand two policies without judgement: never train again, and fit again on
everything after each block; and two that fit again on everything when a detector of river's
(ADWIN [1]_, DDM [2]_) finds a change in the model's errors. `make bench-judgement` prints every
block and writes `build/judgement.json`; `make bench-judgement SETS="elec2 bank"` plays some.

References
----------
.. [1] Bifet, Gavaldà, "Learning from time-changing data with adaptive windowing", SDM (2007).
.. [2] Gama et al., "Learning with drift detection", SBIA (2004).
"""

import csv
import gzip
import importlib.util
import io
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from infra.names import SPECS
from noria.api.predictions import MAX_BATCH_ROWS, Predictions
from noria.api.served_models import ServedModels
from noria.errors import InvalidInputError
from noria.evaluation.decisions import wilson_interval
from noria.evaluation.metrics import METRICS, Answers, measure
from noria.inference.loading import load_model_version
from noria.inference.predictor import Predictor
from noria.records.check import CheckReport
from noria.records.codec import from_bytes
from noria.records.prediction import PredictionRecord, Row
from noria.registry.versions import read_manifest
from noria.spec.loader import load_project, parse_spec
from noria.spec.model import ProjectSpec
from noria.steps.check_drift import CheckDriftRequest, check_drift
from noria.steps.check_performance import CheckPerformanceRequest, check_performance
from noria.steps.decide_retraining import (
    DecideRetrainingRequest,
    DecideRetrainingResult,
    decide_retraining,
)
from noria.steps.profile_log_chunk import ProfileLogChunkRequest, profile_log_chunk
from noria.steps.write_monitoring_report import (
    WriteMonitoringReportRequest,
    write_monitoring_report,
)
from noria.storage.keys import CURRENT, monitoring_key
from tests.benchmarks.data import DATA
from tests.benchmarks.size import IS_SMOKE, results_file, sized
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts, MemoryState
from tests.support.pipeline import Run, refitted, run_training

_START = datetime(2026, 1, 1, tzinfo=UTC)
_BETWEEN = timedelta(hours=30)  # blocks: longer than the window of a check and the cool-down
_ANSWERED = sized(600, smoke=120)  # rows of a block that are asked for, evenly spread
_BLOCK_ROWS = sized(2000, smoke=400)  # of a stream
_MAX_BLOCKS = sized(20, smoke=3)
_STREAMS = sized(
    ("elec2", "sine_0123_abrupto", "mixed_1010_gradual", "sea_0123_abrupto_noise_0.2"),
    smoke=("elec2",),
)

_STREAM = """
[project]
name = "{name}"
task = "classification"
description = "a stream with known drift points"
[dataset]
infer = true
in_time_order = true
duplicates = "keep"
{drop}
[target]
column = "class"
[split]
kind = "time"
[[features]]
name = "numbers"
kind = "numeric"
columns = ["*"]
impute = "median"
[[candidates]]
name = "logistic"
algorithm = "logistic_regression"
[[candidates]]
name = "trees"
algorithm = "lightgbm"
params = {{ n_estimators = 60, num_leaves = 15 }}
[evaluation]
primary_metric = "accuracy"
metrics = ["accuracy", "f1_macro"]
folds = 3
bootstrap_replicates = 500
[monitoring]
rules = ["class_share"]
[retraining]
row_age_hours = 1
"""


@dataclass(frozen=True)
class Trial:
    """One set: its spec, and its blocks of rows in time order."""

    name: str
    spec: ProjectSpec
    blocks: Sequence[tuple[str, list[Row]]]  # (name, rows as they lie in the file)
    n_first: int  # blocks of the first training


@dataclass(frozen=True)
class Block:
    """What became of one block under each policy."""

    block: str
    n_rows: int
    health: str
    drift: str
    performance: str
    decision: str  # codes of the check
    outcome: str  # of a training, if there was one
    noria: float  # the metric of what answered
    never: float
    every: float
    triggered: dict[str, float]  # by river's detector
    is_degenerate: bool  # Noria's decisions: a class said far more often than true


@dataclass(frozen=True)
class TrialResult:
    """All blocks of one set."""

    name: str
    metric: str
    blocks: tuple[Block, ...]
    n_retrained: int
    n_promoted: int
    noria: float  # means over the blocks
    never: float
    every: float
    triggered: dict[str, tuple[float, int]]  # by river's detector: (mean, how often trained)
    note: str = ""


class _Log:
    """The prediction log: each request's records are a chunk, profiled as it comes."""

    def __init__(self, artifacts: MemoryArtifacts) -> None:
        self._artifacts, self._n_chunks = artifacts, 0
        self.held: list[PredictionRecord] = []

    def append(self, project: str, records: Sequence[PredictionRecord]) -> None:
        """Hold the records until the buffer is flushed."""
        self.held += records

    def flush(self, project: str, at: datetime) -> None:
        """Write and profile what is held."""
        self._n_chunks += 1
        key = f"predictions/{project}/{at:%Y/%m/%d/%H}/chunk-{self._n_chunks}.gz"
        lines = "".join(json.dumps(record.to_dict()) + "\n" for record in self.held)
        self._artifacts.put(key, gzip.compress(lines.encode()))
        profile_log_chunk(ProfileLogChunkRequest(key), artifacts=self._artifacts)
        self.held = []


class World:
    """One project in memory, with its own clock."""

    def __init__(self, spec: ProjectSpec) -> None:
        self.spec, self.artifacts = spec, MemoryArtifacts()
        self.aliases, self.state = MemoryAliases(), MemoryState()
        self.clock, self.log = FixedClock(_START), _Log(self.artifacts)
        models = ServedModels(
            self.artifacts,
            self.aliases,
            lambda: self.clock.at.timestamp(),
            lambda *_: None,
            self.clock,
        )
        self.api = Predictions(models, self.log, self.clock, lambda *_: None)

    def put(self, name: str, rows: Sequence[Row]) -> str:
        """Put a file of rows into the inbox."""
        key = f"inbox/{self.spec.name}/{len(self.artifacts.objects):06}/{name}.csv"
        out = io.StringIO()
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        self.artifacts.put(key, out.getvalue().encode())
        return key

    def train(self, keys: Sequence[str], run_id: str, *, recalibrates: bool = False) -> Run:
        """Run the training's steps."""
        return run_training(
            self.spec, tuple(keys), run_id,
            artifacts=self.artifacts, aliases=self.aliases, clock=self.clock,
            recalibrates=recalibrates,
        )  # fmt: skip

    def check(self, check_id: str) -> tuple[CheckReport, DecideRetrainingResult]:
        """Run a check's steps at the world's time."""
        name, at = self.spec.name, self.clock.at.isoformat()
        here: dict[str, Any] = {"spec": self.spec, "store": self.artifacts}
        known: dict[str, Any] = {"aliases": self.aliases, "clock": self.clock}
        check_drift(CheckDriftRequest(name, check_id, at), state=self.state, **here, **known)
        check_performance(CheckPerformanceRequest(name, check_id, at), **here, **known)
        decision = decide_retraining(
            DecideRetrainingRequest(name, check_id, at), aliases=self.aliases, **here
        )
        write_monitoring_report(WriteMonitoringReportRequest(name, check_id), **here)
        body = self.artifacts.get(monitoring_key(name, CURRENT))
        return from_bytes(CheckReport, body), decision


def _inputs(predictor: Predictor, row: Row) -> Row:
    """Return a row of a file as a request sends it."""
    shown: dict[str, Any] = {}
    for name, column in predictor.columns.items():
        cell = row.get(name)
        if cell is None or str(cell).strip() in predictor.missing:
            shown[name] = None
        else:
            shown[name] = float(cell) if column.type == "number" else cell
    return shown


def _renamed(spec: ProjectSpec, rows: Sequence[Row]) -> list[Row]:
    """Return rows under the columns' own names."""
    aliases = {**spec.column_aliases, **dict.fromkeys(spec.target.aliases, spec.target.column)}
    return [{aliases.get(name, name): cell for name, cell in row.items()} for row in rows]


def _score(
    spec: ProjectSpec, predictor: Predictor, rows: Sequence[Row]
) -> tuple[float, Answers, Any]:
    """Return the primary metric of one model on rows, its answers and the truth."""
    outputs, decided, truth = [], [], []
    for row in rows:
        label = predictor.target.read(row[spec.target.column])[0]
        if label not in predictor.classes:
            continue
        try:
            answer = predictor.answer(_inputs(predictor, row), from_file=True)
        except InvalidInputError:
            continue
        outputs.append(answer.outputs)
        decided.append(predictor.classes.index(str(answer.prediction)))
        truth.append(predictor.classes.index(label))
    answers, known = Answers(np.array(outputs), np.array(decided)), np.array(truth)
    return measure(spec.evaluation.primary_metric, known, answers), answers, known


def _is_degenerate(spec: ProjectSpec, predictor: Predictor, rows: Sequence[Row]) -> bool:
    """Return whether a class is surely said far more often than it is true."""
    _, answers, truth = _score(spec, predictor, rows)
    for number in range(len(predictor.classes)):
        said, true = (
            wilson_interval(int((numbers == number).sum()), len(numbers))
            for numbers in (answers.decided, truth)
        )
        if said[0] > spec.decision.max_share_ratio * true[1]:
            return True
    return False


class _Triggered:
    """The policy that fits again on everything when a detector finds a change in the errors."""

    def __init__(self, detector: Any, start: Predictor) -> None:
        self._make, self._detector = detector, detector()
        self._predictor, self._has_fired = start, False
        self.n_retrained, self.scores = 0, list[float]()

    def play(self, spec: ProjectSpec, rows: Sequence[Row], fresh: Predictor) -> float:
        """Answer a block and look at the errors; `fresh` is fitted on everything before it."""
        if self._has_fired:
            self._predictor, self._detector = fresh, self._make()
            self.n_retrained += 1
        score, answers, truth = _score(spec, self._predictor, rows)
        self._has_fired = False
        for is_wrong in answers.decided != truth:
            self._detector.update(bool(is_wrong))
            self._has_fired |= self._detector.drift_detected
        self.scores.append(score)
        return score


def _detectors() -> dict[str, Any]:
    """Return river's detectors by name; none where it is not installed (`make test`)."""
    if not importlib.util.find_spec("river"):
        return {}
    drift = importlib.import_module("river.drift")
    binary = importlib.import_module("river.drift.binary")
    return {"ADWIN": drift.ADWIN, "DDM": binary.DDM}


def play(trial: Trial) -> TrialResult:
    """Play one set from its first block to its last."""
    spec, world = trial.spec, World(trial.spec)
    metric = spec.evaluation.primary_metric
    keys = [world.put(name, rows) for name, rows in trial.blocks[: trial.n_first]]
    first, n_first = world.train(keys, "first"), trial.n_first
    while first.outcome != "ChallengerPromoted" and n_first + 1 < len(trial.blocks):
        name, rows = trial.blocks[n_first]
        keys.append(world.put(name, rows))
        n_first += 1
        first = world.train(keys, f"first-{n_first}")
    if first.outcome != "ChallengerPromoted":
        note = f"no champion after {n_first} blocks: {first.summary[:160]}"
        return TrialResult(trial.name, metric, (), 0, 0, 0.0, 0.0, 0.0, {}, note)
    start = world.aliases.read(spec.name).champion
    never = load_model_version(world.artifacts, spec.name, str(start))
    triggered = {name: _Triggered(made, never) for name, made in _detectors().items()}
    found, n_retrained, n_promoted = [], 0, 0
    for number, (name, rows) in enumerate(trial.blocks[n_first:]):
        every = _fresh(trial, n_first + number)
        block, outcome = _block(world, trial, (number, name, rows), (never, every, triggered))
        found.append(block)
        n_retrained += bool(outcome)
        n_promoted += outcome == "ChallengerPromoted"
        print(f"  {trial.name} {name}: {block.health}, {block.outcome or 'no training'}, "
              f"{block.noria:.3f} {block.never:.3f} {block.every:.3f}", file=sys.stderr, flush=True)  # fmt: skip
    noria, never_mean, every_mean = (
        float(np.mean([getattr(b, who) for b in found])) for who in ("noria", "never", "every")
    )
    detected = {
        name: (float(np.mean(policy.scores)), policy.n_retrained)
        for name, policy in triggered.items()
    }
    return TrialResult(
        trial.name, metric, tuple(found), n_retrained, n_promoted,
        noria, never_mean, every_mean, detected,
    )  # fmt: skip


def _block(
    world: World,
    trial: Trial,
    block: tuple[int, str, list[Row]],
    others: tuple[Predictor, Predictor, dict[str, _Triggered]],
) -> tuple[Block, str]:
    """Answer a block, file its labels, check, and train if the check says so."""
    (number, name, rows), (never, every, triggered), spec = block, others, trial.spec
    world.clock.at = _START + (number + 1) * _BETWEEN
    asked = _renamed(
        spec,
        [rows[i] for i in np.linspace(0, len(rows) - 1, min(_ANSWERED, len(rows))).astype(int)],
    )
    champion = str(world.aliases.read(spec.name).champion)
    predictor = load_model_version(world.artifacts, spec.name, champion)
    labels = []
    for part in range(0, len(asked), MAX_BATCH_ROWS):
        some = asked[part : part + MAX_BATCH_ROWS]
        items = [{"inputs": _inputs(predictor, row)} for row in some]
        for result in world.api.predict_batch(spec.name, {"items": items})["results"]:
            if "prediction_id" in result:
                label = some[result["index"]][spec.target.column]
                labels.append({"prediction_id": result["prediction_id"], "label": label})
    world.log.flush(spec.name, world.clock.at)
    score = _score(spec, predictor, asked)[0]
    is_degenerate = spec.decision.rule != "top_share" and _is_degenerate(spec, predictor, asked)
    world.clock.at += timedelta(hours=2)  # labels come late
    for part in range(0, len(labels), 1000):
        body = {"labels": labels[part : part + 1000]}
        world.api.feedback(spec.name, body, world.artifacts)
    world.put(name, rows)
    world.clock.at += timedelta(hours=2)
    report, decision = world.check(f"check-{number}")
    outcome = ""
    if decision.retrain:
        world.clock.at += timedelta(minutes=5)
        outcome = world.train(
            decision.source_keys, decision.run_id, recalibrates=decision.how == "recalibrate"
        ).outcome
    return Block(
        block=name,
        n_rows=len(asked),
        health=report.health,
        drift=report.drift.verdict,
        performance=report.performance.verdict,
        decision=", ".join(decision.codes),
        outcome=outcome,
        noria=score,
        never=_score(spec, never, asked)[0],
        every=_score(spec, every, asked)[0],
        triggered={n: policy.play(spec, asked, every) for n, policy in triggered.items()},
        is_degenerate=is_degenerate,
    ), outcome


def _fresh(trial: Trial, n_blocks: int) -> Predictor:
    """Return a model fitted on everything before a block, without any gate."""
    world, spec = World(trial.spec), trial.spec
    keys = [world.put(name, rows) for name, rows in trial.blocks[:n_blocks]]
    run = world.train(keys, "fresh")
    version = str(run.model_version)
    if spec.serves_refitted and run.outcome != "ChallengerPromoted":
        lineage = read_manifest(world.artifacts, spec.name, version).lineage
        assert lineage is not None
        version = refitted(
            spec, "fresh", lineage.dataset_version, str(run.candidate), version,
            artifacts=world.artifacts, clock=world.clock,
        )  # fmt: skip
    return load_model_version(world.artifacts, spec.name, version)


def _rows(path: str) -> list[Row]:
    body = (DATA / path).read_bytes()
    text = (gzip.decompress(body) if path.endswith(".gz") else body).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def _shipped(name: str, *candidates: str) -> ProjectSpec:
    """Return a shipped spec with some of its candidates, and without its rollout."""
    spec = load_project(name, SPECS)
    chosen = tuple(c for c in spec.candidates if c.name in candidates)
    rollout = spec.rollout.model_copy(update={"steps": ()})
    # Blocks of sets this small are much of what is known: more rows are a reason of their own.
    on = (*spec.retraining.on, "growth")
    retraining = spec.retraining.model_copy(update={"row_age_hours": 1.0, "on": on})
    return spec.model_copy(
        update={"candidates": chosen, "rollout": rollout, "retraining": retraining}
    )


def _grouped(rows: Sequence[Row], column: str, length: int) -> list[tuple[str, list[Row]]]:
    """Return rows by the first characters of a date, in order."""
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: str(row[column])):
        groups.setdefault(str(row[column])[:length], []).append(row)
    return list(groups.items())


def _stream(name: str) -> Trial:
    drop = 'drop = ["period"]' if name == "elec2" else ""
    rows = _rows(f"streams/{name}.csv.gz")
    size = max(_BLOCK_ROWS, len(rows) // (_MAX_BLOCKS + 2) if _MAX_BLOCKS > 3 else _BLOCK_ROWS)
    blocks = [
        (f"b{n:02}", rows[n * size : (n + 1) * size])
        for n in range(min(_MAX_BLOCKS + 2, len(rows) // size))
    ]
    short = name.split("_", maxsplit=1)[0]
    spec = parse_spec(_STREAM.format(name=short, drop=drop), source=f"{short}.toml")
    return Trial(name, spec, blocks, 2)


def _bank() -> Trial:
    files = [(f"p{n}", _rows(f"customers/bank_additional_p{n}.csv")) for n in range(1, 6)]
    return Trial("bank, file by file", _shipped("customers", "logistic_regression"), files, 2)


def _yelp() -> Trial:
    years = _grouped(_rows("messages/yelp_reviews_2005_2011.csv.gz"), "date", 4)
    early = [("to 2008", [row for year, rows in years if year <= "2008" for row in rows])]
    blocks = early + [(year, rows) for year, rows in years if year > "2008"]
    return Trial("yelp, year by year", _shipped("messages", "logistic_regression_text"), blocks, 1)


def _glpi() -> Trial:
    months = _grouped(_rows("tickets/glpi_es_2022.csv"), "fecha_de_apertura", 7)
    months = [(month, rows) for month, rows in months if len(rows) >= 100]
    spec = _shipped("tickets", "logistic_regression_everything")
    return Trial("glpi, month by month", spec, months, 1)


_OTHERS = {"bank": _bank, "yelp": _yelp, "glpi": _glpi}


def _played(name: str) -> TrialResult:
    """Play a set of the data folder."""
    return play(_OTHERS[name]() if name in _OTHERS else _stream(name))


def main() -> None:
    """Play every set and write `build/judgement.json`."""
    console, results = Console(width=170), []
    names = sys.argv[1:] or [*_STREAMS, *([] if IS_SMOKE else _OTHERS)]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as workers:
        for found in workers.map(_played, names):
            results.append(found)
            _show(console, found)
    summary = Table(title="Means over the blocks")
    for column in ("set", "metric", "Noria", "never", "every block", "river's best", "blocks",
                   "trained", "river's", "promoted", "worse than the better"):  # fmt: skip
        summary.add_column(column)
    for found in results:
        if not found.blocks:
            summary.add_row(found.name, found.metric, *["–"] * 8, found.note)
            continue
        greater = METRICS[found.metric].greater_is_better
        best = max(found.never, found.every) if greater else min(found.never, found.every)
        gap = (best - found.noria) if greater else (found.noria - best)
        sign = 1.0 if greater else -1.0
        river = max(found.triggered.items(), key=lambda one: sign * one[1][0], default=None)
        summary.add_row(
            found.name, found.metric, f"{found.noria:.3f}", f"{found.never:.3f}",
            f"{found.every:.3f}", f"{river[1][0]:.3f} {river[0]}" if river else "not installed",
            str(len(found.blocks)), str(found.n_retrained), str(river[1][1]) if river else "",
            str(found.n_promoted), f"{gap:+.3f}",
        )  # fmt: skip
    console.print(summary)
    path = results_file("judgement.json")
    path.write_text(json.dumps([asdict(found) for found in results], indent=2) + "\n")
    calm = {"healthy", "insufficient_data"}
    n_missed = sum(
        b.every - b.noria > 0.1 and b.health in calm for found in results for b in found.blocks
    )
    n_degenerate = sum(b.is_degenerate for found in results for b in found.blocks)
    print(f"wrote {path.name}; {n_missed} blocks with a collapse called healthy, "
          f"{n_degenerate} with a degenerate decision")  # fmt: skip


def _show(console: Console, found: TrialResult) -> None:
    table = Table(title=f"{found.name}: {found.metric}{' – ' + found.note if found.note else ''}")
    for column in ("block", "rows", "health", "drift", "on labels", "decision", "training",
                   "Noria", "never", "every block", "ADWIN", "DDM"):  # fmt: skip
        table.add_column(column)
    for b in found.blocks:
        table.add_row(
            b.block, str(b.n_rows), b.health, b.drift, b.performance, b.decision[:40], b.outcome,
            f"{b.noria:.3f}", f"{b.never:.3f}", f"{b.every:.3f}",
            *(f"{score:.3f}" for score in b.triggered.values()),
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
