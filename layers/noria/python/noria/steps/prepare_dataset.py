"""Turn source files into a dataset version, or into a rejection with a report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from noria.data.outliers import without_outliers
from noria.data.source_lists import listed_keys
from noria.data.sources import SourceFiles
from noria.data.splits import History, in_time_order, split_rows
from noria.data.validation import ID, TIME, validation_report
from noria.data.versions import write_dataset
from noria.ports import ArtifactStore, ModelAliases
from noria.records.codec import encode
from noria.records.dataset import DatasetOrigin, DatasetSchema
from noria.records.prediction import Row
from noria.spec.model import ProjectSpec
from noria.spec.section import ColumnType
from noria.storage.keys import QUARANTINE_REPORT, QUARANTINED, quarantine_key


@dataclass(frozen=True)
class PrepareDatasetRequest:
    """Which files of which project."""

    project: str
    run_id: str
    source_keys: tuple[str, ...]  # in the data bucket; or of their list, where they are many


@dataclass(frozen=True)
class TrainingPlan:
    """What the run trains on these rows, and where."""

    candidates: tuple[str, ...]
    backend: str
    machine: str  # of a job of SageMaker or Glue, as the three below
    workers: int
    spot: bool
    max_seconds: int
    refits: bool  # whether what serves is fitted again on all rows


@dataclass(frozen=True)
class PrepareDatasetResult:
    """The dataset version, or why there is none."""

    accepted: bool
    dataset_version: str | None
    n_train: int
    n_test: int
    n_rejected: int
    report_key: str
    reasons: tuple[str, ...]  # why the dataset was rejected; empty when accepted
    plan: TrainingPlan


def prepare_dataset(
    request: PrepareDatasetRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    aliases: ModelAliases | None = None,
) -> PrepareDatasetResult:
    """Validate, quarantine, split and store the rows of the source files.

    Reads the source files and, where a split is by time, how the champion does on the rows it has
    not seen; writes the quarantined records and the report under `quarantine/<project>/<run_id>/`,
    and the dataset version when the rows are accepted. The sources themselves stay where they are.
    Without `aliases` rows are prepared as for a project's first training.
    """
    offered = listed_keys(artifacts, request.source_keys)
    with SourceFiles(spec, artifacts, offered) as sources:
        read = sources.rows()
    spec, seen, validation, faults = read.spec, read.seen, read.validation, [*read.faults]
    report_key = quarantine_key(spec.name, request.run_id, QUARANTINE_REPORT)
    split = _Split() if faults else _split(spec, validation.rows, artifacts, aliases, report_key)
    train, test = split.train, split.test
    if not faults and not (train and test):
        faults = ["the split leaves no rows to train on or none to test with; more rows are needed"]
    n_split = len(train)
    if spec.dataset.outliers and train:
        train = without_outliers(train, _numbers(spec), spec.dataset.outliers)
    report = replace(
        validation_report(validation, accepted=not faults, outcome=faults),
        n_outliers=n_split - len(train),
        n_outdated=split.n_outdated,
        n_since_change=split.n_since_change,
        n_test=len(test),
        left_out=seen.left_out,
        unusable_table_records=sources.unusable,
        project=spec.name,
        description=spec.project.description,
        owner=spec.project.owner,
        sources=tuple(sources.keys),
    )
    rejected = validation.rejected.to_bytes()
    artifacts.put(quarantine_key(spec.name, request.run_id, QUARANTINED), rejected)
    shown = json.dumps(encode(report), ensure_ascii=False, indent=2)  # its owner opens it
    artifacts.put(report_key, shown.encode())
    version = None
    if not faults:
        origin = DatasetOrigin(tuple(sources.keys), offered, report, _schema(spec, seen.types))
        version = write_dataset(artifacts, spec.name, (train, test), origin)
    return PrepareDatasetResult(
        accepted=not faults,
        dataset_version=version,
        n_train=len(train),
        n_test=len(test),
        n_rejected=len(validation.rejected),
        report_key=report_key,
        reasons=tuple(faults),
        plan=_plan(spec),
    )


@dataclass(frozen=True)
class _Split:
    """The rows that train and those that judge."""

    train: list[Row] = field(default_factory=list)
    test: list[Row] = field(default_factory=list)
    n_outdated: int = 0
    n_since_change: int | None = None


def _split(
    spec: ProjectSpec,
    rows: Sequence[Row],
    artifacts: ArtifactStore,
    aliases: ModelAliases | None,
    report_key: str,  # of the run: an earlier attempt may have chosen already
) -> _Split:
    if spec.split.kind != "time" or spec.training.history == "all":
        return _Split(*split_rows(rows, list(spec.dataset.columns), spec.split))
    ordered = in_time_order(rows)
    history = _before(artifacts, report_key, len(rows))
    if history is None:
        # Its learners take seconds to import, and most runs need none.
        from noria.training.history import choose_history

        champion = aliases.read(spec.name).champion if aliases else None
        history = choose_history(spec, ordered, artifacts, champion)
    cut = len(ordered) - history.n_test
    return _Split(
        ordered[history.n_left_out : cut],
        ordered[cut:],
        history.n_left_out,
        history.n_since_change,
    )


def _before(artifacts: ArtifactStore, report_key: str, n_rows: int) -> History | None:
    """Return the history that an earlier attempt of the run chose for as many rows.

    Its champion may be another one by now: a run that is started again splits as it did.
    """
    try:
        report = json.loads(artifacts.get(report_key))
    except KeyError:
        return None
    if not report["accepted"] or report["n_rows"] != n_rows or not report.get("n_test"):
        return None
    return History(report["n_outdated"], report["n_test"], report["n_since_change"])


def _plan(spec: ProjectSpec) -> TrainingPlan:
    training = spec.training
    return TrainingPlan(
        candidates=tuple(candidate.name for candidate in spec.candidates),
        backend=training.backend,
        machine=training.machine,
        workers=training.workers,
        spot=training.spot,
        max_seconds=int(training.max_hours * 3600),
        refits=spec.serves_refitted,
    )


def _numbers(spec: ProjectSpec) -> list[str]:
    return [name for name, column in spec.dataset.columns.items() if column.type == "number"]


def _schema(spec: ProjectSpec, inferred: Mapping[str, ColumnType]) -> DatasetSchema:
    columns = {name: column.type for name, column in spec.dataset.columns.items()}
    return DatasetSchema(columns, spec.target.column, (TIME, ID), inferred)
