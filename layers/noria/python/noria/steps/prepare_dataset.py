"""Turn source files into a dataset version, or into a rejection with a report."""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from noria.data.parsing import ByteBudget, read_records
from noria.data.splits import split_rows
from noria.data.validation import (
    ID,
    TIME,
    Validation,
    Validator,
    acceptance_faults,
    validation_report,
)
from noria.data.versions import encode_rows, write_dataset
from noria.errors import DatasetSchemaError
from noria.layout import quarantine_key
from noria.ports import ArtifactStore
from noria.spec.model import ProjectSpec


@dataclass(frozen=True)
class PrepareDatasetRequest:
    """Which files of which project."""

    project: str
    run_id: str
    source_keys: tuple[str, ...]  # in the data bucket


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


def prepare_dataset(
    request: PrepareDatasetRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> PrepareDatasetResult:
    """Validate, quarantine, split and store the rows of the source files.

    Reads the source files; writes the quarantined records and the report under
    `quarantine/<project>/<run_id>/`, and the dataset version when the rows are accepted. The
    sources themselves stay where they are.
    """
    validation, faults = _validate(request, spec, artifacts)
    faults = faults or acceptance_faults(validation, spec)
    train, test = ([], []) if faults else _split(validation, spec)
    if not faults and not (train and test):
        faults = ["the split leaves no rows to train on or none to test with; more rows are needed"]
    report = validation_report(validation, accepted=not faults, outcome=faults)
    report |= {
        "project": spec.name,
        "description": spec.project.description,
        "owner": spec.project.owner,
        "sources": list(request.source_keys),
    }
    report_key = quarantine_key(spec.name, request.run_id, "report.json")
    rejected = encode_rows(vars(record) for record in validation.rejected)
    artifacts.put(quarantine_key(spec.name, request.run_id, "rows.jsonl.gz"), rejected)
    artifacts.put(report_key, json.dumps(report, ensure_ascii=False, indent=2).encode())
    version = None
    if not faults:
        facts = {"sources": list(request.source_keys), "report": report, "schema": _schema(spec)}
        version = write_dataset(artifacts, spec.name, (train, test), facts)
    return PrepareDatasetResult(
        accepted=not faults,
        dataset_version=version,
        n_train=len(train),
        n_test=len(test),
        n_rejected=len(validation.rejected),
        report_key=report_key,
        reasons=tuple(faults),
    )


def _validate(
    request: PrepareDatasetRequest, spec: ProjectSpec, artifacts: ArtifactStore
) -> tuple[Validation, list[str]]:
    validator, budget = Validator(spec), ByteBudget(spec.dataset.max_bytes)
    for key in request.source_keys:
        name = PurePosixPath(key).name
        try:
            with artifacts.open(key) as stream:
                records = read_records(stream, name, budget, delimiter=spec.dataset.delimiter)
                validator.add_file(records, name)
        except KeyError:
            return validator.result, [f"{key}: there is no such file in the data bucket"]
        except DatasetSchemaError as error:
            return validator.result, [error.message]
    validator.reject_rare_classes()
    return validator.result, []


def _split(validation: Validation, spec: ProjectSpec) -> tuple[list[Any], list[Any]]:
    return split_rows(validation.rows, list(spec.dataset.columns), spec.split)


def _schema(spec: ProjectSpec) -> dict[str, Any]:
    columns = {name: column.type for name, column in spec.dataset.columns.items()}
    return {"columns": columns, "target": spec.target.column, "beside": [TIME, ID]}
