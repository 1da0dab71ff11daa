"""Score one part of a batch; the same part again gives the same bytes."""

import gzip
from contextlib import suppress
from dataclasses import dataclass

from noria.batch.filed import filed_rows
from noria.batch.joining import with_joined
from noria.batch.parts import Part
from noria.batch.reading import read_part
from noria.batch.results import (
    Bands,
    part_counts,
    part_table,
    refused_lines,
    table_bytes,
    with_inputs,
)
from noria.batch.whole import read_stream
from noria.columnar.engine import BatchPredictor
from noria.columnar.models import BatchModels
from noria.errors import BatchCancelledError, ModelError, RegistryError, SettingsError
from noria.ports import ArtifactStore
from noria.records.batch import BatchPlan
from noria.records.codec import from_bytes, to_bytes
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import CANCELLED, PLAN, batch_key, part_key


@dataclass(frozen=True)
class ScorePartRequest:
    """Which part of which job."""

    project: str
    job_id: str
    part: int


@dataclass(frozen=True)
class ScorePartResult:
    """How many rows got an answer."""

    n_answered: int
    n_refused: int


def score_part(
    request: ScorePartRequest, *, spec: ProjectSpec, artifacts: ArtifactStore, models: BatchModels
) -> ScorePartResult:
    """Answer the part's rows with the plan's model; write what comes of them.

    The counts are written last: a part exists once they do. Whoever scores it again writes the
    same bytes under the same keys, so nothing doubles.

    Raises
    ------
    BatchCancelledError
        The job was cancelled.
    """
    project, job_id, number = spec.name, request.job_id, request.part
    if artifacts.exists(batch_key(project, job_id, CANCELLED)):
        raise BatchCancelledError(f"batch job {job_id} was cancelled", job_id=job_id)
    plan = from_bytes(BatchPlan, artifacts.get(batch_key(project, job_id, PLAN)))
    if plan.model_version is None or plan.layout is None:
        raise SettingsError(f"batch job {job_id} was refused; there is nothing to score")
    model = models.get(project, plan.model_version)
    shadow = _shadow(plan, model, models)
    ids, layout = spec.id_columns, plan.layout
    inputs = layout.header or tuple(model.predictor.columns) if spec.batch.include_inputs else ()
    body = artifacts.get(part_key(project, job_id, "input", number))
    records = read_part(
        Part(plan.parts[number].first_line, body),
        layout,
        [*model.predictor.columns, *_keys(plan, spec)],
        (*ids, *inputs),
    )
    if plan.tables:
        joined = read_stream(artifacts.get(part_key(project, job_id, "joined", number)))
        records = with_joined(records, joined)
    answers = model.answer(records.cells, len(records.lines))
    table = part_table(records, answers, model.predictor, ids, _bands(plan, spec))
    counts = part_counts(records, answers, model.predictor, table)
    table = with_inputs(table, records, answers, [name for name in inputs if name not in ids])
    # What is decided together is written by whoever sees all parts.
    form = (plan.form or spec.batch.format) if plan.whole is None else "parquet"
    artifacts.put(
        part_key(project, job_id, "answers", number),
        table_bytes(table, form, with_header=number == 0),
    )
    refused = refused_lines(records, answers)
    artifacts.put(part_key(project, job_id, "refused", number), refused)
    if plan.is_profiled:
        profile = models.profiler(project, plan.model_version).of(answers).to_dict()
        body = gzip.compress(canonical_json(profile), mtime=0)
        artifacts.put(part_key(project, job_id, "profile", number), body)
    if plan.is_filed:
        filed = filed_rows(plan, model.predictor, ids, records, answers)
        artifacts.put(part_key(project, job_id, "filed", number), filed.to_bytes())
    if shadow and set(shadow.predictor.columns) <= set(records.cells):
        with suppress(Exception):  # whatever it is: a model that serves nobody stops no batch
            others = shadow.answer(records.cells, len(records.lines))
            filed = filed_rows(plan, shadow.predictor, ids, records, others, is_shadow=True)
            artifacts.put(part_key(project, job_id, "shadow", number), filed.to_bytes())
    artifacts.put(part_key(project, job_id, "summary", number), to_bytes(counts))
    return ScorePartResult(counts.n_answered, counts.n_refused)


def _shadow(plan: BatchPlan, model: BatchPredictor, models: BatchModels) -> BatchPredictor | None:
    """Return the champion before, while the plan's model is on probation and it can be read.

    Not one that keeps less to itself than the model: what is personal now was not always.
    """
    if plan.shadow_version is None:
        return None
    with suppress(ModelError, RegistryError):  # a model that serves nobody stops no batch
        shadow = models.get(plan.project, plan.shadow_version)
        return shadow if shadow.predictor.hides_as_much_as(model.predictor) else None
    return None


def _keys(plan: BatchPlan, spec: ProjectSpec) -> list[str]:
    """Return the columns by which tables are joined: a row with one of them is no stranger."""
    keys = [join.key for join in spec.dataset.joins] if plan.tables else []
    return [spec.column_aliases.get(key, key) for key in keys]


def _bands(plan: BatchPlan, spec: ProjectSpec) -> Bands | None:
    edges = plan.edges
    if edges is None or not edges.at:
        return None
    return Bands(edges.at, edges.names, spec.batch.priorities)
