"""The answers to a part's rows as they are kept: by record id."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa

from noria.batch.reading import Records
from noria.batch.whole import decided_in, outputs_of
from noria.columnar.engine import BatchAnswers
from noria.monitoring.filed_rows import FiledJob, FiledRows, record_numbers
from noria.records.batch import BatchPlan
from noria.storage.hours import hour_name
from noria.storage.keys import filed_rows_key


def filed_rows(
    plan: BatchPlan,
    classes: Sequence[str],
    id_columns: Sequence[str],
    records: Records,
    answers: BatchAnswers,
) -> FiledRows:
    """Return the answers to the rows that have an id, in the order of the file."""
    places = pa.array(answers.places)
    n, names = len(places), [name for name in id_columns if name in records.cells]
    numbers = [
        record_numbers(plan.project, records.cells[name].take(places).to_pylist()) for name in names
    ]
    rows = FiledRows(
        job=FiledJob(plan.job_id, plan.filename, str(plan.model_version), plan.started_at),
        classes=tuple(classes),
        id_columns=tuple(names),
        numbers=np.stack(numbers, axis=1) if numbers else np.zeros((n, 0), dtype=np.uint64),
        lines=np.asarray(records.lines)[answers.places],
        outputs=answers.outputs,
        decided=answers.decided,
    )
    return rows.at_rows(np.any(rows.numbers != 0, axis=1))


def filed_key(plan: BatchPlan, part: int) -> str:
    """Return where the answers to a part of a job are filed once they are published."""
    hour = hour_name(datetime.fromisoformat(plan.started_at))
    return filed_rows_key(plan.project, hour, plan.job_id, part)


def as_decided(rows: FiledRows, table: pa.Table) -> FiledRows:
    """Return the answers to a part as the whole batch decides them, given its table of answers."""
    places = np.searchsorted(table["line"].to_numpy(), rows.lines)
    outputs, decided = outputs_of(table, rows.classes), decided_in(table, rows.classes)
    return replace(rows, outputs=outputs[places], decided=decided[places])
