"""Gather a batch: one result file in the order of the rows, one of refused rows, one summary."""

import gzip
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

import pyarrow as pa

from noria.batch.filed import as_decided, filed_key
from noria.batch.jobs import job_id_of
from noria.batch.parquet import as_parquet
from noria.batch.results import added_bins, class_counts, merged_counts, table_bytes
from noria.batch.streams import joined
from noria.batch.whole import decided_in, outputs_of, read_stream, whole_batch
from noria.errors import ModelCorruptError
from noria.monitoring.filed_rows import FiledRows
from noria.ports import Clock, FileStore
from noria.records.batch import (
    BatchCheck,
    BatchCounts,
    BatchEnd,
    BatchOutcome,
    BatchPlan,
    PriorShift,
    WholeDecision,
)
from noria.records.codec import from_bytes, to_bytes
from noria.records.prediction import Row
from noria.records.verdicts import DriftVerdict, Health
from noria.reporting.words import differs_text
from noria.spec.catalog import BATCH_SUFFIXES
from noria.spec.model import ProjectSpec
from noria.storage.hours import hour_name
from noria.storage.keys import (
    BATCH_PROFILE,
    CANCELLED,
    OUTCOME,
    PLAN,
    REFUSED_SUFFIX,
    batch_check_id,
    batch_key,
    batch_result_key,
    batch_values_prefix,
    part_key,
    profile_key,
)

_HEALTH: Mapping[DriftVerdict, Health] = {
    "drift": "unhealthy",
    "suspected": "suspected",
    "stable": "healthy",
    "insufficient_data": "insufficient_data",
}


@dataclass(frozen=True)
class CloseBatchRequest:
    """Which job, and what went wrong if something did."""

    project: str
    source_key: str
    event: str  # S3's number of the upload
    failure: str | None = None  # the error that ended planning or scoring
    check: BatchCheck | None = None  # of the rows; None: they are no evidence, or it failed
    release: str | None = None  # the job whose results were held back, and a person publishes


@dataclass(frozen=True)
class CloseBatchResult:
    """How the job ended; in full in `outcome.json`."""

    job_id: str
    outcome: BatchEnd
    event: str  # what people are told of
    summary: str
    result_key: str | None
    refused_key: str | None
    summary_key: str


def close_batch(
    request: CloseBatchRequest, *, spec: ProjectSpec, store: FileStore, clock: Clock
) -> CloseBatchResult:
    """Write the results under `batch-results/<project>/`, and how it went; the same again is one.

    Results are written when every part was scored; refused rows and the summary always are. More
    refused rows than `batch.max_refused_fraction` are told loudly, and no results are written
    where `batch.on_refused` says so. Rows that have drifted, or could not be checked, hold the
    results back where `batch.on_drift` says so; a release writes them from the parts.
    """
    job_id = request.release or job_id_of(store, spec.name, request.source_key, request.event)
    key = batch_key(spec.name, job_id, OUTCOME)
    held: BatchOutcome | None = None
    if store.exists(key):
        held = from_bytes(BatchOutcome, store.get(key))
        if not request.release or held.outcome != "BatchHeld":
            return _result(held, key)
    try:
        plan = from_bytes(BatchPlan, store.get(batch_key(spec.name, job_id, PLAN)))
    except KeyError:  # planning failed
        filename = request.source_key.rpartition("/")[2]
        now = clock.now().isoformat()
        plan = BatchPlan(spec.name, job_id, request.source_key, filename, now)
    found = _Found.of(request, held, plan)
    end = _Closing(spec, store, plan, found).run(request.failure)
    finished_at = clock.now()
    outcome = BatchOutcome(
        project=plan.project,
        job_id=plan.job_id,
        source_key=plan.source_key,
        filename=plan.filename,
        started_at=plan.started_at,
        finished_at=finished_at.isoformat(),
        seconds=(finished_at - datetime.fromisoformat(plan.started_at)).total_seconds(),
        n_parts=len(plan.parts),
        limit=plan.limit,
        reasons=plan.reasons,
        model_version=plan.model_version,
        n_bytes=plan.n_bytes,
        edges=plan.edges,
        tables=plan.tables,
        without_tables=plan.without_tables,
        unmatched=plan.unmatched,
        health=found.health,
        drifted=found.drifted,
        drift_key=found.drift_key,
        released_at=finished_at.isoformat() if held else None,
        **vars(end),
    )
    store.put(key, to_bytes(outcome))
    return _result(outcome, key)


def _result(outcome: BatchOutcome, key: str) -> CloseBatchResult:
    return CloseBatchResult(
        job_id=outcome.job_id,
        outcome=outcome.outcome,
        event=outcome.event,
        summary=outcome.summary,
        result_key=outcome.result_key,
        refused_key=outcome.refused_key,
        summary_key=key,
    )


@dataclass(frozen=True)
class _End:
    """How a job ended, and what it has written."""

    outcome: BatchEnd
    summary: str
    counts: BatchCounts | None = None
    result_key: str | None = None
    refused_key: str | None = None
    has_many_refused: bool = False
    prior_shift: PriorShift | None = None


@dataclass(frozen=True)
class _Found:
    """What is known of the rows beside those of training."""

    health: Health
    drifted: tuple[str, ...]
    drift_key: str | None
    is_unchecked: bool = False  # they should have been checked
    is_released: bool = False
    profile_key: str | None = None  # where the profile of the rows is filed

    @classmethod
    def of(cls, request: CloseBatchRequest, held: BatchOutcome | None, plan: BatchPlan) -> "_Found":
        if held:
            return cls(held.health, held.drifted, held.drift_key, is_released=True)
        check = request.check
        if check is None:
            return cls("insufficient_data", (), None, is_unchecked=plan.is_profiled)
        return cls(
            _HEALTH[check.verdict], check.drifted, check.drift_key, profile_key=check.profile_key
        )

    @property
    def text(self) -> str:
        """What people are told of it."""
        if self.is_unchecked:
            return "its rows could not be compared with training"
        return differs_text(self.drifted) if self.drifted else ""


class _Closing:
    """One job's end."""

    def __init__(self, spec: ProjectSpec, store: FileStore, plan: BatchPlan, found: _Found) -> None:
        self._spec, self._store, self._plan, self._found = spec, store, plan, found
        self._most_refused = spec.batch.max_refused_fraction
        self._form = plan.form or spec.batch.format
        # What is released must not replace the results of a later file.
        self._is_dated = spec.batch.results == "dated" or found.is_released

    def run(self, failure: str | None) -> _End:
        """Write the results, where there may be some."""
        if not self._found.is_released and (early := self._early_end(failure)):
            return early
        counts = merged_counts(self._counts())
        is_held = self._is_held()
        self._is_dated |= is_held
        refused_key = self._refused(counts)
        is_many = counts.n_refused > self._most_refused * max(1, counts.n_rows)
        text = self._said(counts, is_many=is_many)
        if not counts.n_answered or (is_many and self._spec.batch.on_refused == "hold"):
            summary = f"{text}; no results are written"
            return _End("BatchRejected", summary, counts, None, refused_key, is_many)
        text += f"; {self._found.text}" if self._found.text else ""
        self._file_profile()
        whole, key, shift = self._plan.whole, None, None
        if whole is not None:
            counts, key, shift = self._decided(counts, whole, publish=not is_held)
        elif not is_held:
            key = self._results(self._bodies("answers"))
            self._file_rows()
        if is_held:
            how = f"noria release {self._spec.name} {self._plan.job_id}"
            summary = f"{text}; the results are held back until: {how}"
            return _End("BatchHeld", summary, counts, None, refused_key, is_many, shift)
        self._keep_values(counts)
        summary = f"{text}; by {self._plan.model_version}"
        if shift is not None and shift.is_corrected:
            summary += "; corrected for other class shares than in training"
        return _End("BatchCompleted", summary, counts, key, refused_key, is_many, shift)

    def _said(self, counts: BatchCounts, *, is_many: bool) -> str:
        """Return what became of the rows, in a line."""
        text = f"{counts.n_answered:,} of {counts.n_rows:,} rows answered"
        if counts.n_refused:
            text += f", {counts.n_refused:,} refused"
        if counts.n_imputed:
            text += f", {counts.n_imputed:,} with gaps filled in"
        if self._plan.without_tables:
            text += f", without the tables {', '.join(self._plan.without_tables)}"
        for files, n in self._plan.unmatched.items():
            text += f", {n:,} without a match in {files}"
        if is_many:
            share, limit = counts.n_refused / max(1, counts.n_rows), self._most_refused
            text += f"; {share:.1%} refused, more than {limit:.1%} (batch.max_refused_fraction)"
        return text

    def _file_profile(self) -> None:
        """Put the profile of the rows where checks of the log read it: one object a job."""
        if self._found.profile_key:
            key = batch_key(self._spec.name, self._plan.job_id, BATCH_PROFILE)
            self._store.put(self._found.profile_key, self._store.get(key))

    def _is_held(self) -> bool:
        found = self._found
        if self._spec.batch.on_drift != "hold" or found.is_released:
            return False
        return found.health == "unhealthy" or found.is_unchecked

    def _early_end(self, failure: str | None) -> _End | None:
        if self._store.exists(batch_key(self._spec.name, self._plan.job_id, CANCELLED)):
            return _End("BatchCancelled", "cancelled; no results are written")
        if self._plan.reasons:
            return _End("BatchRejected", "; ".join(self._plan.reasons))
        if self._plan.top_share is not None and self._plan.whole is None:
            failure = "an earlier version of Noria planned it"
        if failure or not self._plan.parts:
            why = (failure or "nothing was planned")[:500]
            return _End("BatchFailed", f"failed: {why}; start it again as a new job")
        return None

    def _bodies(self, kind: str) -> Iterator[bytes]:
        for number in range(len(self._plan.parts)):
            key = part_key(self._spec.name, self._plan.job_id, kind, number)
            try:
                yield self._store.get(key)
            except KeyError as error:  # of a job that was held back
                text = f"{key}: expired, or removed by an erasure; score the file again"
                raise ModelCorruptError(text, key=key) from error

    def _counts(self) -> Iterator[BatchCounts]:
        for number in range(len(self._plan.parts)):
            key = part_key(self._spec.name, self._plan.job_id, "summary", number)
            try:
                yield from_bytes(BatchCounts, self._store.get(key))
            except KeyError as error:
                raise ModelCorruptError(f"{key}: this part was never scored", key=key) from error

    def _decided(
        self, counts: BatchCounts, decision: WholeDecision, *, publish: bool
    ) -> tuple[BatchCounts, str | None, PriorShift | None]:
        """Decide a batch that is decided when it is whole; return its counts, and the results."""
        names = decision.classes
        whole = whole_batch(
            decision,
            (read_stream(body) for body in self._bodies("answers")),
            n_rows=counts.n_answered,
            least=self._spec.monitoring.min_rows,
        )
        is_corrected = whole.shift is not None and whole.shift.is_corrected
        found, head = list[tuple[dict[str, int], tuple[int, ...]]](), list[Row]()

        def bodies() -> Iterator[bytes]:
            for number, body in enumerate(self._bodies("answers")):
                table = whole.decided(read_stream(body))
                # Inputs that come back are not shown: they may be personal.
                shown = table.select(counts.columns)
                head.extend(shown.slice(0, len(counts.head) - len(head)).to_pylist())
                found.append(
                    class_counts(names, outputs_of(table, names), decided_in(table, names))
                )
                if publish and self._plan.is_filed:
                    self._file_part(number, table, is_corrected=is_corrected)
                yield table_bytes(table, self._form, with_header=number == 0) if publish else b""

        key = None
        if publish:
            key = self._results(bodies())
        else:
            deque(bodies(), maxlen=0)
        classes = {name: sum(part[name] for part, _ in found) for name in names}
        histogram = reduce(added_bins, (bins for _, bins in found))
        counts = replace(counts, classes=classes, histogram=histogram, head=tuple(head))
        return counts, key, whole.shift

    def _file_rows(self) -> None:
        """File the answers by record id, for labels and whoever asks."""
        if self._plan.is_filed:
            for number in range(len(self._plan.parts)):
                self._file_part(number)

    def _file_part(
        self, number: int, table: pa.Table | None = None, *, is_corrected: bool = False
    ) -> None:
        key = part_key(self._spec.name, self._plan.job_id, "filed", number)
        rows = FiledRows.from_bytes(self._store.get(key))
        rows = rows if table is None else as_decided(rows, table)
        job = rows.job._replace(
            is_evidence=self._is_evidence(), is_corrected=is_corrected, is_whole=table is not None
        )
        self._store.put(filed_key(self._plan, number), replace(rows, job=job).to_bytes())
        if self._plan.shadow_version:
            self._file_shadow(number)

    def _file_shadow(self, number: int) -> None:
        """File what the champion before said of a part, as evidence of the probation alone."""
        key = part_key(self._spec.name, self._plan.job_id, "shadow", number)
        with suppress(KeyError):  # it could not be read
            self._store.put(filed_key(self._plan, number, is_shadow=True), self._store.get(key))

    def _is_evidence(self) -> bool:
        """Return whether the rows' profile is in the log, filed now or when they were held back."""
        plan = self._plan
        hour = hour_name(datetime.fromisoformat(plan.started_at))
        version, chunk = str(plan.model_version), batch_check_id(plan.job_id)
        return self._store.exists(profile_key(plan.project, version, hour, chunk))

    def _results(self, bodies: Iterator[bytes]) -> str:
        key = batch_result_key(self._spec.name, f"{self._stem()}.{self._form}")
        stream = as_parquet(bodies) if self._form == "parquet" else joined(bodies)
        with stream:
            self._store.put_stream(key, stream)
        return key

    def _refused(self, counts: BatchCounts) -> str | None:
        # Overwritten results must not keep the refused rows of an earlier file beside them.
        if not counts.n_refused and self._is_dated:
            return None
        key = batch_result_key(self._spec.name, f"{self._stem()}{REFUSED_SUFFIX}")
        bodies = self._bodies("refused") if counts.n_refused else iter([b""])
        packed = (gzip.compress(body, mtime=0) for body in bodies)
        with joined(packed) as stream:
            self._store.put_stream(key, stream)
        return key

    def _stem(self) -> str:
        """Return the results' name: of the day and the job, or of the file alone."""
        name = self._plan.filename
        for suffix in BATCH_SUFFIXES:
            name = name.removesuffix(suffix)
        if not self._is_dated:
            return name
        return f"{self._plan.started_at[:10]}/{self._plan.job_id}/{name}"

    def _keep_values(self, counts: BatchCounts) -> None:
        """Keep the batch's business values: later batches have their bands from them."""
        spread = counts.values and counts.values.spread
        if spread and not self._plan.limit:
            name = f"{self._plan.started_at}-{self._plan.job_id}.json"
            self._store.put(batch_values_prefix(self._spec.name) + name, to_bytes(spread))
