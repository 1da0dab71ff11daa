"""The answers to a part's rows as they are kept: by record id."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from noria.batch.reading import Records
from noria.batch.whole import decided_in, outputs_of
from noria.columnar.engine import BatchAnswers
from noria.inference.predictor import Predictor
from noria.monitoring.filed_rows import FiledJob, FiledRows, Numbers, private_numbers, text_numbers
from noria.records.batch import BatchPlan
from noria.storage.hours import hour_name
from noria.storage.keys import filed_rows_key


def filed_rows(
    plan: BatchPlan,
    predictor: Predictor,
    id_columns: Sequence[str],
    records: Records,
    answers: BatchAnswers,
    *,
    is_shadow: bool = False,
) -> FiledRows:
    """Return the answers to the rows that have an id, in the order of the file.

    Of record ids that are personal nothing but their hashes is kept.

    Parameters
    ----------
    predictor : Predictor
        Whose answers they are.
    is_shadow : bool
        Whether it is the champion before, beside the plan's model.
    """
    version = plan.shadow_version if is_shadow else plan.model_version
    job = FiledJob(plan.job_id, plan.filename, str(version), plan.started_at, is_shadow=is_shadow)
    places = pa.array(answers.places)
    n, names = len(places), [name for name in id_columns if name in records.cells]
    numbers = [
        private_numbers(plan.project, records.cells[name].take(places).to_pylist())
        if "record_id" in predictor.private
        else _numbers(records.cells[name].take(places))
        for name in names
    ]
    rows = FiledRows(
        job=job,
        classes=tuple(predictor.classes),
        id_columns=tuple(names),
        numbers=np.stack(numbers, axis=1) if numbers else np.zeros((n, 0), dtype=np.uint64),
        lines=np.asarray(records.lines)[answers.places],
        outputs=answers.outputs,
        decided=answers.decided,
    )
    return rows.at_rows(np.any(rows.numbers != 0, axis=1))


def _numbers(cells: Any) -> Numbers:
    """Return the number of each cell of a column of texts; 0 of a missing one."""
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    known = cells.fill_null("").cast(pa.large_string())
    _, offsets, octets = known.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[known.offset : known.offset + len(known) + 1]
    return text_numbers(np.frombuffer(octets or b"", dtype=np.uint8), ends)


def filed_key(plan: BatchPlan, part: int, *, is_shadow: bool = False) -> str:
    """Return where the answers to a part of a job are filed once they are published."""
    hour = hour_name(datetime.fromisoformat(plan.started_at))
    return filed_rows_key(plan.project, hour, plan.job_id, part, is_shadow=is_shadow)


def as_decided(rows: FiledRows, table: pa.Table) -> FiledRows:
    """Return the answers to a part as the whole batch decides them, given its table of answers."""
    places = np.searchsorted(table["line"].to_numpy(), rows.lines)
    outputs, decided = outputs_of(table, rows.classes), decided_in(table, rows.classes)
    return replace(rows, outputs=outputs[places], decided=decided[places])
