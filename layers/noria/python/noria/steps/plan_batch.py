"""Read a file to score once: refuse it with a reason, or cut it into parts of whole records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from noria.batch.files import RowsFile, opened_rows
from noria.batch.jobs import job_id_of, requested_job
from noria.batch.joining import BatchJoins, columns_of
from noria.batch.results import merged_spread, quantile, table_bytes
from noria.errors import DatasetSchemaError, NoChampionError
from noria.inference.loading import load_model_version
from noria.inference.predictor import Predictor
from noria.ports import Clock, ModelAliases, SearchableStore
from noria.records.batch import (
    BandEdges,
    BatchPlan,
    FileLayout,
    JobOwner,
    PlannedPart,
    Spread,
    WholeDecision,
)
from noria.records.codec import from_bytes, to_bytes
from noria.registry.versions import read_manifest
from noria.spec.model import ProjectSpec
from noria.storage.keys import (
    OWNER,
    PLAN,
    REFERENCE,
    batch_key,
    batch_values_prefix,
    part_key,
)

_MAX_PARTS = 10_000  # more do not fit into the state machine's payload
_MIN_VALUES, _BATCHES = 100, 10  # business values that fix the bands: of how many batches at most


Verdict = Literal["planned", "rejected", "duplicate"]


@dataclass(frozen=True)
class PlanBatchRequest:
    """Which file; the same event twice is one job."""

    project: str
    source_key: str
    event: str  # S3's number of the upload: the same for doubled events
    owner: str  # the execution that asks


@dataclass(frozen=True)
class PlanBatchResult:
    """The parts to score, or why there are none."""

    verdict: Verdict
    job_id: str
    n_parts: int
    max_concurrency: int
    reasons: tuple[str, ...]


def plan_batch(
    request: PlanBatchRequest,
    *,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
    clock: Clock,
) -> PlanBatchResult:
    """Cut the file into parts under `batches/<project>/<job>/` and write `plan.json`, last.

    The plan pins the model version and the edges of the bands, so that a part that is scored
    again, or after a promotion, gives the same answers. A file that cannot be scored is refused
    with every reason; its parts are never looked at.
    """
    job_id = job_id_of(store, spec.name, request.source_key, request.event)
    key = batch_key(spec.name, job_id, PLAN)
    claim = batch_key(spec.name, job_id, OWNER)
    if not store.put(claim, to_bytes(JobOwner(request.owner)), if_absent=True):
        if from_bytes(JobOwner, store.get(claim)).owner != request.owner:
            return PlanBatchResult("duplicate", job_id, 0, 0, ())
        if store.exists(key):  # this very execution, asked again
            return _result(from_bytes(BatchPlan, store.get(key)), spec)
    requested = requested_job(store, spec.name, request.source_key)
    plan = BatchPlan(
        project=spec.name,
        job_id=job_id,
        source_key=request.source_key,
        filename=request.source_key.rpartition("/")[2],
        started_at=clock.now().isoformat(),
        limit=requested[1].limit if requested else None,
    )
    try:
        record = aliases.read(spec.name)
        named = requested[1].tables if requested else ()
        plan = _Planning(spec, store, plan, named).run(record.require_champion())
        if plan.is_filed and record.is_on_probation(clock.now()):
            plan = replace(plan, shadow_version=record.challenger)
    except (DatasetSchemaError, NoChampionError) as error:
        plan = replace(plan, reasons=(error.message,))
    # A slower attempt of this execution may have been first, and its parts be scored already.
    if not store.put(key, to_bytes(plan), if_absent=True):
        plan = from_bytes(BatchPlan, store.get(key))
    return _result(plan, spec)


def _result(plan: BatchPlan, spec: ProjectSpec) -> PlanBatchResult:
    verdict: Verdict = "rejected" if plan.reasons else "planned"
    most = spec.batch.max_concurrency
    return PlanBatchResult(verdict, plan.job_id, len(plan.parts), most, plan.reasons)


class _Planning:
    """One pass over the file."""

    def __init__(
        self, spec: ProjectSpec, store: SearchableStore, plan: BatchPlan, named: Sequence[str]
    ) -> None:
        """`named` are keys of tables to join."""
        self._spec, self._store, self._plan, self._named = spec, store, plan, named

    def run(self, model_version: str) -> BatchPlan:
        """Write the parts; return the plan with them and with the model."""
        predictor = load_model_version(self._store, self._spec.name, model_version)
        source, name = self._plan.source_key, self._plan.filename
        with (
            opened_rows(lambda: self._store.open(source), name, self._spec) as file,
            BatchJoins(self._spec, self._store, predictor.columns, self._named) as joins,
        ):
            parts = tuple(self._written(file, joins, predictor))
        if not parts:
            raise DatasetSchemaError(f"{name}: the file holds no records", file=name)
        return replace(
            self._plan,
            model_version=model_version,
            layout=file.layout,
            parts=parts,
            n_bytes=file.budget.taken,
            edges=self._edges(predictor),
            whole=_whole(predictor, self._spec),
            is_profiled=self._is_profiled(model_version),
            form=self._spec.batch.format,
            tables=joins.tables,
            unmatched={files: n for files, n in joins.unmatched.items() if n},
            without_tables=joins.without,
            is_filed=not self._plan.limit and self._has_ids(file.layout),
        )

    def _written(
        self, file: RowsFile, joins: BatchJoins, predictor: Predictor
    ) -> Iterator[PlannedPart]:
        if not file.layout.is_json:  # before a row is read
            self._prepare(file, joins, predictor, set(file.layout.header))
        for number, part in enumerate(file.parts(self._plan.limit)):
            if number >= _MAX_PARTS:
                raise DatasetSchemaError(
                    f"{file.name}: more than {_MAX_PARTS:,} parts; raise batch.rows_per_part or "
                    "cut it into several",
                    file=file.name,
                )
            if number == 0 and file.layout.is_json:
                self._prepare(file, joins, predictor, columns_of(file.layout, part))
            if joins.names:
                key = part_key(self._spec.name, self._plan.job_id, "joined", number)
                table = joins.joined(part, file.layout)
                self._store.put(key, table_bytes(table, "parquet", with_header=False))
            key = part_key(self._spec.name, self._plan.job_id, "input", number)
            self._store.put(key, part.body)
            yield PlannedPart(part.first_line, len(part.body))

    def _prepare(
        self, file: RowsFile, joins: BatchJoins, predictor: Predictor, names: set[str]
    ) -> None:
        joins.prepare(file.name, names)
        file.require_columns(predictor.columns, joins.names)

    def _has_ids(self, layout: FileLayout) -> bool:
        """Return whether rows have record ids; of JSON each row has its own columns."""
        ids = self._spec.id_columns
        return bool(ids) and (layout.is_json or not set(ids).isdisjoint(layout.header))

    def _is_profiled(self, model_version: str) -> bool:
        """Return whether the rows are evidence: a try of the first rows is none."""
        if not self._spec.batch.monitored or self._plan.limit:
            return False
        files = read_manifest(self._store, self._spec.name, model_version).files
        return REFERENCE in files

    def _edges(self, predictor: Predictor) -> BandEdges | None:
        """Return where bands of business value end: of earlier batches, else of training."""
        data, section = predictor.postprocessing, self._spec.postprocess
        if data is None or section is None:
            return None
        found = list(self._store.under(batch_values_prefix(self._spec.name)))[-_BATCHES:]
        spread = merged_spread([from_bytes(Spread, self._store.get(f.key)) for f in found])
        if spread is None or spread.n < _MIN_VALUES:
            return BandEdges("training", data.edges, data.bands)
        at = tuple(quantile(spread, share) for share in section.band_quantiles)
        return BandEdges(f"{len(found)} earlier batches", at, data.bands)


def _whole(predictor: Predictor, spec: ProjectSpec) -> WholeDecision | None:
    """Return how the batch is decided when it is whole; None where rows are decided alone."""
    weights, costs, share, known_shares = predictor.decision
    if spec.decision.prior_shift == "keep":  # switched off since the model was trained
        known_shares = ()
    if share is None and not known_shares:
        return None
    return WholeDecision(tuple(predictor.classes), share, known_shares, weights, costs)
