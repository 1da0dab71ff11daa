"""The answers to a part's rows as they are kept: by record id."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from noria.batch.reading import Records
from noria.columnar.engine import BatchAnswers
from noria.monitoring.filed_rows import FiledJob, FiledRows, record_numbers
from noria.records.batch import BatchPlan


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
        numbers=np.stack(numbers, axis=1) if numbers else np.zeros((n, 0), dtype=np.uint64),
        lines=np.asarray(records.lines)[answers.places],
        outputs=answers.outputs,
        decided=answers.decided,
    )
    return rows.at_rows(np.any(rows.numbers != 0, axis=1))
