"""Turn source files into a dataset version, or into a rejection with a report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from noria.data.outliers import without_outliers
from noria.data.sources import SourceFiles
from noria.data.splits import split_rows
from noria.data.validation import ID, TIME, acceptance_faults, validation_report
from noria.data.versions import write_dataset
from noria.ports import ArtifactStore
from noria.records.codec import encode
from noria.records.dataset import DatasetOrigin, DatasetSchema
from noria.spec.checks import column_faults
from noria.spec.columns import with_columns
from noria.spec.model import ProjectSpec
from noria.spec.section import ColumnType
from noria.storage.keys import QUARANTINE_REPORT, QUARANTINED, quarantine_key


@dataclass(frozen=True)
class PrepareDatasetRequest:
    """Which files of which project."""

    project: str
    run_id: str
    source_keys: tuple[str, ...]  # in the data bucket


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
    request: PrepareDatasetRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> PrepareDatasetResult:
    """Validate, quarantine, split and store the rows of the source files.

    Reads the source files; writes the quarantined records and the report under
    `quarantine/<project>/<run_id>/`, and the dataset version when the rows are accepted. The
    sources themselves stay where they are.
    """
    with SourceFiles(spec, artifacts, request.source_keys) as sources:
        seen = sources.infer_columns()
        spec = with_columns(spec, seen.types) if seen.types else spec
        validation, faults = sources.validate(spec)
    faults = (
        faults or list(column_faults(spec, are_final=True)) or acceptance_faults(validation, spec)
    )
    train, test = ([], []) if faults else split_rows(
        validation.rows, list(spec.dataset.columns), spec.split
    )  # fmt: skip
    if not faults and not (train and test):
        faults = ["the split leaves no rows to train on or none to test with; more rows are needed"]
    n_split = len(train)
    if spec.dataset.outliers and train:
        train = without_outliers(train, _numbers(spec), spec.dataset.outliers)
    report = replace(
        validation_report(validation, accepted=not faults, outcome=faults),
        n_outliers=n_split - len(train),
        left_out=seen.left_out,
        unusable_table_records=sources.unusable,
        project=spec.name,
        description=spec.project.description,
        owner=spec.project.owner,
        sources=tuple(sources.keys),
    )
    report_key = quarantine_key(spec.name, request.run_id, QUARANTINE_REPORT)
    rejected = validation.rejected.to_bytes()
    artifacts.put(quarantine_key(spec.name, request.run_id, QUARANTINED), rejected)
    shown = json.dumps(encode(report), ensure_ascii=False, indent=2)  # its owner opens it
    artifacts.put(report_key, shown.encode())
    version = None
    if not faults:
        origin = DatasetOrigin(
            tuple(sources.keys), request.source_keys, report, _schema(spec, seen.types)
        )
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
