"""Turn source files into a dataset version, or into a rejection with a report."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Self

from noria.data.joins import Tables
from noria.data.outliers import without_outliers
from noria.data.parsing import ByteBudget, RawRecord, read_records
from noria.data.schema_inference import ColumnInference
from noria.data.splits import split_rows
from noria.data.validation import (
    ID,
    TIME,
    Validation,
    Validator,
    acceptance_faults,
    validation_report,
)
from noria.data.versions import write_dataset
from noria.errors import DatasetSchemaError
from noria.ports import ArtifactStore
from noria.spec.checks import column_faults
from noria.spec.columns import with_columns
from noria.spec.model import ProjectSpec
from noria.spec.section import ColumnType
from noria.storage.keys import quarantine_key


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
    with _Sources(request, spec, artifacts) as sources:
        spec, inferred, left_out = sources.resolved()
        validation, faults = sources.validated(spec)
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
    report = validation_report(validation, accepted=not faults, outcome=faults)
    report |= {
        "n_outliers": n_split - len(train),
        "left_out": left_out,
        "unusable_table_records": sources.unusable,
        "project": spec.name,
        "description": spec.project.description,
        "owner": spec.project.owner,
        "sources": sources.keys,
    }
    report_key = quarantine_key(spec.name, request.run_id, "report.json")
    rejected = validation.rejected.to_bytes()
    artifacts.put(quarantine_key(spec.name, request.run_id, "rows.jsonl.gz"), rejected)
    artifacts.put(report_key, json.dumps(report, ensure_ascii=False, indent=2).encode())
    version = None
    if not faults:
        schema = _schema(spec) | {"inferred": inferred}
        offered = list(request.source_keys)
        facts = {"sources": sources.keys, "offered": offered, "report": report, "schema": schema}
        version = write_dataset(artifacts, spec.name, (train, test), facts)
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
    )


class _Sources:
    """The source files of a run: which are read, which are tables to join."""

    def __init__(
        self, request: PrepareDatasetRequest, spec: ProjectSpec, artifacts: ArtifactStore
    ) -> None:
        self._spec, self._artifacts = spec, artifacts
        self._tables = Tables(spec.dataset.joins)
        self._fault: str | None = None
        self.unusable: dict[str, int] = {}  # records of each table that could not be used
        rows = [k for k in request.source_keys if not self._tables.is_table(_name(k))]
        self._table_keys = [k for k in request.source_keys if k not in rows]
        if spec.dataset.in_time_order or spec.dataset.window_files:
            rows.sort(key=_natural)
        window = spec.dataset.window_files
        self._row_keys = rows[-window:] if window else rows
        self.keys = [*self._table_keys, *self._row_keys]

    def __enter__(self) -> Self:
        self._tables.__enter__()
        budget = ByteBudget(self._spec.dataset.max_bytes)
        self._fault = self._reading(self._table_keys, budget, self._fill)
        return self

    def __exit__(self, *error: Any) -> None:
        self._tables.__exit__(*error)

    def resolved(self) -> tuple[ProjectSpec, dict[str, ColumnType], Mapping[str, str]]:
        """Return the spec with all columns, those inferred, and those left out with reasons."""
        if not self._spec.dataset.infer or self._fault:
            return self._spec, {}, {}
        watched = ColumnInference(self._spec)
        budget = ByteBudget(self._spec.dataset.max_bytes)
        self._fault = self._reading(
            self._row_keys, budget, lambda records, _: watched.watch(self._tables.joined(records))
        )
        inferred = watched.types()
        return with_columns(self._spec, inferred), inferred, watched.left_out()

    def validated(self, spec: ProjectSpec) -> tuple[Validation, list[str]]:
        """Return what became of the records, and why they cannot be read at all."""
        validator, budget = Validator(spec), ByteBudget(spec.dataset.max_bytes)
        fault = self._fault or self._reading(
            self._row_keys,
            budget,
            lambda records, name: validator.add_file(self._tables.joined(records), name),
        )
        validator.finish()
        return validator.result, [fault] if fault else []

    def _fill(self, records: Iterator[RawRecord], name: str) -> None:
        self.unusable[name] = self._tables.add(name, records)

    def _reading(
        self,
        keys: Sequence[str],
        budget: ByteBudget,
        take: Callable[[Iterator[RawRecord], str], None],
    ) -> str | None:
        """Hand the records of each file over; return why one of them cannot be read."""
        for key in keys:
            try:
                with self._artifacts.open(key) as stream:
                    delimiter = self._spec.dataset.delimiter
                    take(read_records(stream, _name(key), budget, delimiter=delimiter), _name(key))
            except KeyError:
                return f"{key}: there is no such file in the data bucket"
            except DatasetSchemaError as error:
                return error.message
        return None


def _natural(key: str) -> list[str | int]:
    """Return what sorts file names as people count them: p2 before p10."""
    parts = re.split(r"(\d+)", _name(key))
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def _name(key: str) -> str:
    return PurePosixPath(key).name


def _numbers(spec: ProjectSpec) -> list[str]:
    return [name for name, column in spec.dataset.columns.items() if column.type == "number"]


def _schema(spec: ProjectSpec) -> dict[str, Any]:
    columns = {name: column.type for name, column in spec.dataset.columns.items()}
    return {"columns": columns, "target": spec.target.column, "beside": [TIME, ID]}
