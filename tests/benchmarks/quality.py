"""`make bench-quality`: scores on real sets under their protocols, next to recorded baselines.

Each set is read by a project's own spec. In every fold of the protocol the whole training runs on
the training side - features, selection of the candidate by inner cross-validation, calibration,
thresholds, export - and the held-out rows are scored once, one by one, by the exported bundle.

"At or above" is a recorded baseline (the better of quick and strong) less 0.01, or plus 2 % for
an RMSE. Of each classification set a second table shows what its decisions are worth: accuracy and
macro-F1 of the spec's rule, of the most probable class, and of always the commonest class in
training; and the log-loss of its held-out answers under other class shares, as they are and
corrected without labels (`noria.training.prior_shift`). Other rows with the same columns are read from the folder `NORIA_DATA`. Searches are off:
candidates have the fixed parameters of the spec; `TRIALS=20` turns them on. `SETS="customers"`
measures only the sets and protocols that hold such a word.
"""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import KFold, RepeatedKFold, StratifiedKFold

from cli.samples.files import json_lines
from infra.names import SPECS
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.data.parsing import ByteBudget, read_records
from noria.data.schema_inference import ColumnInference
from noria.data.validation import TARGET, TIME, Validator
from noria.data.versions import write_dataset
from noria.errors import TrainingFailedError
from noria.evaluation.decisions import decide
from noria.evaluation.metrics import METRICS, Answers, measure
from noria.inference.predictor import Predictor
from noria.records.dataset import DatasetOrigin, DatasetSchema
from noria.spec.columns import with_columns
from noria.spec.loader import load_spec
from noria.spec.model import ProjectSpec
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.select_challenger import SelectChallengerRequest, select_challenger
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import REFERENCE, candidate_key
from noria.training.prior_shift import check_correction
from noria_aws.aws.clock import SystemClock
from tests.benchmarks.data import data_files
from tests.benchmarks.size import results_file, sized
from tests.support.fakes import MemoryArtifacts

Rows = list[dict[str, Any]]
Fold = tuple[Sequence[int], Sequence[int]]  # places to train on, places to score
_OWN_SPECS = Path(__file__).parent / "specs"
_TOLERANCE, _RMSE_TOLERANCE = 0.01, 0.02  # absolute; relative
_REPLICATES, _SEED = sized(1000, smoke=20), 0
_LITTLE = 0.4  # of the way from guessing to perfect


def _shuffled(files: list[Rows], spec: ProjectSpec) -> list[Fold]:
    rows = [row for file in files for row in file]
    if spec.project.task == "regression":
        return [*KFold(5, shuffle=True, random_state=0).split(rows)]
    labels = [row[TARGET] for row in rows]
    return [*StratifiedKFold(5, shuffle=True, random_state=0).split(rows, labels)]


def _repeated(files: list[Rows], _: ProjectSpec) -> list[Fold]:
    # Gives the recorded 4.95 of ridge and 3.71 of default boosting exactly.
    return [*RepeatedKFold(n_splits=5, n_repeats=3, random_state=0).split(files[0])]


def _last_fifth(files: list[Rows], _: ProjectSpec) -> list[Fold]:
    (rows,) = files
    order = sorted(range(len(rows)), key=lambda i: rows[i][TIME])
    cut = len(rows) - round(0.2 * len(rows))
    return [(order[:cut], order[cut:])]


def _last_file(files: list[Rows], _: ProjectSpec) -> list[Fold]:
    n_last = len(files[-1])
    places = range(sum(map(len, files)))
    return [(places[:-n_last], places[-n_last:])]


@dataclass(frozen=True)
class Measurement:
    """One protocol on one set."""

    files: str  # pattern below the data folder; several files come in the order of their names
    spec: Path
    protocol: str
    folds: Callable[[list[Rows], ProjectSpec], list[Fold]]
    baselines: dict[str, float]  # metric: recorded value, the better of quick and strong
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)  # section: settings
    takes: slice = slice(None)  # of the files
    is_pooled: bool = True  # the metric of all held-out rows; else the mean of the folds'


Changes = dict[str, dict[str, Any]]  # of a spec: settings by section
_CV = "5-fold, shuffled, pooled"
_TICKETS, _MESSAGES = SPECS / "tickets.toml", SPECS / "messages.toml"
_CUSTOMERS, _HOUSING = SPECS / "customers.toml", SPECS / "housing.toml"
_EVERY_TICKET: Changes = {
    "dataset": {"duplicates": "keep"},
    "target": {"min_rows_per_class": 15},
    "evaluation": {"primary_metric": "f1_macro"},
}
_GLPI: Changes = {**_EVERY_TICKET, "dataset": {"duplicates": "keep", "time": "fecha_de_apertura"}}
_BY_TIME: Changes = {"split": {"kind": "time"}}
_ALL_ROWS: Changes = {"dataset": {"duplicates": "keep"}}
# Where the protocol shuffles, what it rewards is chosen by shuffled folds too; on p1-p4 -> p5, and
# in production, folds respect time.
_SHUFFLED: Changes = {"split": {"kind": "stratified"}}

MEASUREMENTS = (
    Measurement("tickets/glpi_es_2022.csv", _TICKETS, _CV, _shuffled,
                {"f1_macro": 0.749, "accuracy": 0.800}, _GLPI),
    Measurement("tickets/glpi_es_2022.csv", _TICKETS, "first 80 % by time -> last 20 %",
                _last_fifth, {"f1_macro": 0.624, "accuracy": 0.713}, {**_GLPI, **_BY_TIME}),
    Measurement("tickets/glpi_es_2021_2025_hard_*.csv", _TICKETS, _CV, _shuffled,
                {"f1_macro": 0.406, "accuracy": 0.456}, _EVERY_TICKET),
    Measurement("tickets/mesa_ayuda_rrhh_es_2023_2024.csv", _TICKETS, _CV, _shuffled,
                {"f1_macro": 0.833, "accuracy": 0.855}, _EVERY_TICKET),
    Measurement("tickets/it_tickets_en.csv", _TICKETS, _CV, _shuffled,
                {"f1_macro": 0.845, "accuracy": 0.838}, _EVERY_TICKET),
    Measurement("messages/yelp_reviews_*.csv.gz", _MESSAGES, _CV, _shuffled,
                {"f1_macro": 0.662, "accuracy": 0.792}, {**_ALL_ROWS, **_SHUFFLED}),
    Measurement("messages/yelp_reviews_*.csv.gz", _MESSAGES, "first 80 % by date -> last 20 %",
                _last_fifth, {"f1_macro": 0.670, "accuracy": 0.801}, _ALL_ROWS),
    Measurement("messages/yelp_features_*.parquet", _OWN_SPECS / "yelp_features.toml", _CV,
                _shuffled, {"f1_macro": 0.610}),
    Measurement("customers/bank_additional_p*.csv", _CUSTOMERS, "p1-p4 -> p5", _last_file,
                {"roc_auc": 0.638}, takes=slice(-5, None)),
    Measurement("customers/bank_additional_p*.csv", _CUSTOMERS, f"p1-p4, {_CV}", _shuffled,
                {"roc_auc": 0.588}, _SHUFFLED, takes=slice(-5, -1)),
    Measurement("customers/bank_additional_p*.csv", _CUSTOMERS, f"p1-p5, {_CV}", _shuffled,
                {"roc_auc": 0.649}, _SHUFFLED, takes=slice(-5, None)),
    Measurement("customers/telco_churn.csv", _CUSTOMERS, _CV, _shuffled,
                {"roc_auc": 0.846, "pr_auc": 0.668}),
    Measurement("customers/credit_data.csv", _CUSTOMERS, _CV, _shuffled,
                {"roc_auc": 0.842, "pr_auc": 0.681}),
    Measurement("housing/HousingData.csv", _HOUSING, "5-fold, 3 repeats, mean of folds",
                _repeated, {"rmse": 3.34}, is_pooled=False),
    Measurement("housing/california_housing.csv", _OWN_SPECS / "california.toml", _CV, _shuffled,
                {"rmse": 45_939}),
)  # fmt: skip


_SMALLEST = tuple(m for m in MEASUREMENTS if m.files == "tickets/mesa_ayuda_rrhh_es_2023_2024.csv")


@dataclass(frozen=True)
class Score:
    """One metric on one set."""

    data: str
    n_rows: int
    protocol: str
    project: str
    model: str  # what the selection chose, in how many of the folds
    metric: str
    baseline: float  # the better of quick and strong, as recorded
    required: float
    ours: float
    interval: tuple[float, float]  # 95 %, of ours
    guessing: float  # class shares, or the mean, of the training rows
    holds: bool
    remark: str


@dataclass(frozen=True)
class DecisionScore:
    """What decisions on one set are worth, by one metric."""

    data: str
    protocol: str
    rule: str  # of the spec
    metric: str
    ours: float
    most_probable: float
    commonest: float  # always the commonest class of the training rows


@dataclass(frozen=True)
class ShiftScore:
    """How true probabilities are on one set under other class shares."""

    data: str
    protocol: str
    n_rows: int
    kept: float  # log-loss, mean over several class shares
    corrected: float


@dataclass(frozen=True)
class Part:
    """The held-out rows of one fold."""

    chosen: str  # candidate
    truth: Any
    answers: Answers
    most_probable: Answers
    guessed: Answers  # class shares and the commonest class, or the mean, of the training rows


def main() -> None:
    """Score every set that is there, print the tables and write `build/quality.json`.

    The file is written after each protocol, so that a run that is cut off keeps what it has.
    """
    scores: list[Score] = []
    decisions: list[DecisionScore] = []
    shifts: list[ShiftScore] = []
    path = results_file("quality.json")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for measurement in sized(MEASUREMENTS, smoke=_SMALLEST):
            what = f"{measurement.files}, {measurement.protocol}"
            if sys.argv[1:] and not any(name in what for name in sys.argv[1:]):
                continue
            paths = data_files(measurement.files)[measurement.takes]
            if not paths:
                print(f"skipped: {measurement.files} is not there (set NORIA_DATA)")
                continue
            found, decided, shifted = _scores(measurement, paths, pool)
            for s in found:
                print(f"{s.data}, {s.protocol}: {s.metric} {s.ours:.4g} ({s.model})", flush=True)
            scores += found
            decisions += decided
            shifts += shifted
            _write(path, {"scores": scores, "decisions": decisions, "prior_shift": shifts})
    _show(scores)
    _show_decisions(decisions)
    _show_shifts(shifts)
    print(f"wrote {path.name}; {sum(not s.holds for s in scores)} of {len(scores)} are below")


def _write(path: Path, written: dict[str, Sequence[Any]]) -> None:
    listed = {name: [asdict(one) for one in found] for name, found in written.items()}
    path.write_text(json.dumps(listed, indent=2) + "\n")


def _scores(
    measurement: Measurement, paths: Sequence[Path], pool: ProcessPoolExecutor
) -> tuple[list[Score], list[DecisionScore], list[ShiftScore]]:
    declared = changed(load_spec(measurement.spec), measurement.changes)
    few = declared.candidates[: sized(None, smoke=1)]
    declared = declared.model_copy(update={"candidates": few})
    spec, inferred, files = read_files(declared, paths)
    rows = [row for file in files for row in file]
    folds = measurement.folds(files, spec)
    jobs = [
        pool.submit(
            _trained_and_scored, declared, inferred, [rows[i] for i in fit], [rows[i] for i in held]
        )
        for fit, held in folds
    ]
    parts = [job.result() for job in jobs]
    chosen = [part.chosen for part in parts]
    most = max(set(chosen), key=chosen.count)
    found = []
    for metric, baseline in measurement.baselines.items():
        ours, interval = _measured(metric, [(p.truth, p.answers) for p in parts], measurement)
        guessing, _ = _measured(metric, [(p.truth, p.guessed) for p in parts], measurement)
        is_greater = METRICS[metric].greater_is_better
        required = baseline - _TOLERANCE if is_greater else baseline * (1 + _RMSE_TOLERANCE)
        found.append(
            Score(
                data=measurement.files,
                n_rows=len(rows),
                protocol=measurement.protocol,
                project=spec.name,
                model=f"{most} ({chosen.count(most)}/{len(chosen)})",
                metric=metric,
                baseline=baseline,
                required=required,
                ours=ours,
                interval=interval,
                guessing=guessing,
                holds=ours >= required if is_greater else ours <= required,
                remark=_remark(metric, ours, guessing),
            )
        )
    return found, [*_decisions(spec, measurement, parts)], [*_shifts(spec, measurement, parts)]


def _decisions(
    spec: ProjectSpec, measurement: Measurement, parts: Sequence[Part]
) -> Iterator[DecisionScore]:
    """Yield what the decisions on the held-out rows of all folds are worth."""
    if spec.project.task == "regression":
        return
    truth = np.concatenate([part.truth for part in parts])
    for metric in ("accuracy", "f1_macro"):
        by_rule = [
            measure(metric, truth, _pooled(answers))
            for answers in (
                [part.answers for part in parts],
                [part.most_probable for part in parts],
                [part.guessed for part in parts],
            )
        ]
        yield DecisionScore(
            measurement.files, measurement.protocol, spec.decision.rule, metric, *by_rule
        )


def _shifts(
    spec: ProjectSpec, measurement: Measurement, parts: Sequence[Part]
) -> Iterator[ShiftScore]:
    """Yield how true the held-out probabilities are under other class shares."""
    if spec.project.task == "regression":
        return
    width = min(part.answers.outputs.shape[1] for part in parts)  # classes that all folds know
    truth = np.concatenate([part.truth for part in parts])
    outputs = np.concatenate([part.answers.outputs[:, :width] for part in parts])
    is_known = (truth < width) & (outputs.sum(axis=1) > 0.0)
    known = outputs[is_known].mean(axis=0)
    check = check_correction(
        truth[is_known], outputs[is_known], known, least=spec.monitoring.min_rows
    )
    yield ShiftScore(
        measurement.files, measurement.protocol, check.n_rows, check.kept, check.corrected
    )


def _pooled(parts: Sequence[Answers]) -> Answers:
    decided = None if parts[0].decided is None else np.concatenate([p.decided for p in parts])
    return Answers(np.concatenate([part.outputs for part in parts]), decided)


def changed(spec: ProjectSpec, changes: dict[str, dict[str, Any]]) -> ProjectSpec:
    trials = os.environ.get("TRIALS")
    searching = {"trials": int(trials)} if trials else {"kind": "none"}
    sections = {"search": searching, **changes}
    return spec.model_copy(
        update={
            name: getattr(spec, name).model_copy(update=settings)
            for name, settings in sections.items()
        }
    )


def read_files(
    spec: ProjectSpec, paths: Sequence[Path]
) -> tuple[ProjectSpec, dict[str, Any], list[Rows]]:
    """Return the spec with all columns, those inferred, and the valid rows of each file."""
    inferred: dict[str, Any] = {}
    if spec.dataset.infer:
        watched = ColumnInference(spec)
        for path in paths:
            watched.watch(read_records(*_opened(path), ByteBudget(10**9)))
        inferred = watched.types()
        spec = with_columns(spec, inferred)
    files = []
    for path in paths:
        validator = Validator(spec)
        validator.add_file(read_records(*_opened(path), ByteBudget(10**9)), path.name)
        validator.finish()
        files.append(validator.result.rows)
    return spec, inferred, files


def _opened(path: Path) -> tuple[io.BytesIO, str]:
    if path.suffix == ".parquet":
        table = pyarrow.parquet.read_table(path)
        return io.BytesIO(json_lines(table.to_pylist())), f"{path.stem}.jsonl"
    return io.BytesIO(path.read_bytes()), path.name


def _trained_and_scored(
    spec: ProjectSpec, inferred: dict[str, Any], train: Rows, held_out: Rows
) -> Part:
    """Train on one side of a fold and score the other."""
    chosen, predictor, _ = trained(spec, inferred, train, held_out)
    outputs = [predictor.score(row) for row in held_out]
    targets = [row[TARGET] for row in train]
    if spec.project.task == "regression":
        truth = np.array([row[TARGET] for row in held_out])
        mean = np.full((len(held_out), 1), np.mean(targets))
        answers = Answers(np.array(outputs), None)
        return Part(chosen, truth, answers, answers, Answers(mean, None))
    # A class that only the held-out rows have is one the model must get wrong.
    unknown = {row[TARGET] for row in held_out} - set(predictor.classes)
    classes = [*predictor.classes, *sorted(unknown)]
    wide = np.zeros((len(held_out), len(classes)))
    wide[:, : len(predictor.classes)] = outputs
    shares = np.tile([targets.count(c) / len(targets) for c in classes], (len(held_out), 1))
    truth = np.array([classes.index(row[TARGET]) for row in held_out])
    # A fold is a batch: a share is of its rows.
    decided = decide(np.array(outputs), predictor.decision).decided
    return Part(
        chosen,
        truth,
        Answers(wide, decided),
        Answers(wide, wide.argmax(axis=1)),
        Answers(shares, shares.argmax(axis=1)),
    )


def trained(
    spec: ProjectSpec, inferred: dict[str, Any], train: Rows, held_out: Rows
) -> tuple[str, Predictor, bytes]:
    """Train every candidate; return the chosen one, its bundle and its reference profile."""
    artifacts, name = MemoryArtifacts(), spec.name
    origin = DatasetOrigin(schema=DatasetSchema({}, spec.target.column, (), inferred))
    version = write_dataset(artifacts, name, (train, held_out), origin)
    here: dict[str, Any] = {"spec": spec, "artifacts": artifacts}
    fit_feature_views(FitFeatureViewsRequest(name, "q", version), **here)
    for candidate in [candidate.name for candidate in spec.candidates]:
        with suppress(TrainingFailedError):  # as the state machine goes on without it
            train_candidate(
                TrainCandidateRequest(name, "q", version, candidate),
                clock=SystemClock(),
                code={},
                **here,
            )
    chosen = select_challenger(SelectChallengerRequest(name, "q"), **here).candidate
    predictor = Predictor(
        {f: artifacts.get(candidate_key(name, "q", chosen, f)) for f in (BUNDLE_FILE, ARRAYS_FILE)}
    )
    return chosen, predictor, artifacts.get(candidate_key(name, "q", chosen, REFERENCE))


def _measured(
    metric: str, parts: list[tuple[Any, Answers]], measurement: Measurement
) -> tuple[float, tuple[float, float]]:
    """Return the metric and the 95 % percentile bootstrap interval, over rows or over folds."""
    rng = np.random.default_rng(_SEED)
    if not measurement.is_pooled:
        values = np.array([measure(metric, truth, answers) for truth, answers in parts])
        drawn = [rng.choice(values, len(values)).mean() for _ in range(_REPLICATES)]
        return float(values.mean()), _interval(drawn)
    truth = np.concatenate([part[0] for part in parts])
    answers = _pooled([part[1] for part in parts])
    replicates: list[float] = []
    for _ in range(_REPLICATES):
        rows = rng.integers(0, len(truth), len(truth))
        replicates.append(measure(metric, truth[rows], answers.at(rows)))
    return measure(metric, truth, answers), _interval(replicates)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _remark(metric: str, ours: float, guessing: float) -> str:
    """Say where the rows allow little, whatever the model."""
    perfect = 1.0 if METRICS[metric].greater_is_better else 0.0
    way = (ours - guessing) / (perfect - guessing)
    if way >= _LITTLE:
        return ""
    return (
        f"these rows allow little: {way:.0%} of the way from guessing ({guessing:.3g}) to perfect"
    )


def _show(scores: Sequence[Score]) -> None:
    table = Table(title="quality.json: real sets, their protocols, their recorded baselines")
    columns = (
        "data",
        "protocol",
        "model",
        "metric",
        "baseline",
        "required",
        "ours",
        "95 %",
        "holds",
    )
    for column in columns:
        table.add_column(column)
    for s in scores:
        numbers = [f"{value:.4g}" for value in (s.baseline, s.required, s.ours)]
        interval = f"{s.interval[0]:.4g}-{s.interval[1]:.4g}"
        holds = "yes" if s.holds else "NO"
        table.add_row(s.data, s.protocol, s.model, s.metric, *numbers, interval, holds)
    console = Console(width=190)
    console.print(table)
    for s in scores:
        if s.remark:
            console.print(f"{s.data}, {s.protocol}, {s.metric} {s.ours:.3f}: {s.remark}")


def _show_decisions(found: Sequence[DecisionScore]) -> None:
    table = Table(title="What decisions are worth")
    for column in ("data", "protocol", "rule", "metric", "ours", "most probable", "commonest"):
        table.add_column(column)
    for d in found:
        numbers = [f"{value:.3f}" for value in (d.ours, d.most_probable, d.commonest)]
        table.add_row(d.data, d.protocol, d.rule, d.metric, *numbers)
    Console(width=150).print(table)


def _show_shifts(found: Sequence[ShiftScore]) -> None:
    table = Table(title="Log-loss under other class shares")
    for column in ("data", "protocol", "rows", "kept", "corrected"):
        table.add_column(column)
    for s in found:
        table.add_row(s.data, s.protocol, str(s.n_rows), f"{s.kept:.3f}", f"{s.corrected:.3f}")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
