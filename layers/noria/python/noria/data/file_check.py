"""What files of rows are to a project, before anything is trained on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from noria.data.sources import SourceFiles
from noria.data.validation import TARGET, TIME, validation_report
from noria.ports import OpenedFiles
from noria.records.dataset import ValidationReport
from noria.spec.model import ProjectSpec


@dataclass(frozen=True)
class CheckedColumn:
    """One input column."""

    name: str
    type: str
    is_declared: bool  # by the spec; False: the rows have told its type
    n_gaps: int  # accepted rows without a value


@dataclass(frozen=True)
class FileCheck:
    """What a training would say of the rows of some files."""

    columns: tuple[CheckedColumn, ...]
    left_out: Mapping[str, str]  # columns that are no inputs, with the reason
    report: ValidationReport
    faults: tuple[str, ...]  # why the rows cannot be trained on; empty where they can
    times: tuple[str, str] | None  # of the first and the last row; UTC, ISO 8601
    target: tuple[float, float] | None  # regression: the least and the greatest value


def check_files(spec: ProjectSpec, files: OpenedFiles, keys: Sequence[str]) -> FileCheck:
    """Read files as a training would, and write nothing."""
    with SourceFiles(spec, files, keys) as sources:
        read = sources.rows()
    rows, declared = read.validation.rows, spec.dataset.columns
    times = [str(row[TIME]) for row in rows if row.get(TIME) is not None]
    numbers = [row[TARGET] for row in rows if isinstance(row[TARGET], float)]
    return FileCheck(
        columns=tuple(
            CheckedColumn(
                name, column.type, name in declared, sum(row.get(name) is None for row in rows)
            )
            for name, column in read.spec.dataset.columns.items()
        ),
        left_out=read.seen.left_out,
        report=validation_report(read.validation, accepted=not read.faults, outcome=read.faults),
        faults=read.faults,
        times=(min(times), max(times)) if times else None,
        target=(min(numbers), max(numbers)) if numbers else None,
    )
