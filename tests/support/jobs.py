"""A batch job from its file to its end, in memory."""

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet

from noria.columnar.models import BatchModels
from noria.monitoring.reference import OutOfFoldFacts, build_reference
from noria.records.alias import Promotion, RolloutChange
from noria.records.batch import BatchCheck, BatchOutcome
from noria.records.codec import from_bytes, to_bytes
from noria.records.dataset import DatasetManifest
from noria.records.drift import DriftReport
from noria.records.evaluation import Lineage, VersionFacts
from noria.records.prediction import Answer
from noria.registry.versions import write_version
from noria.spec.loader import parse_spec
from noria.spec.model import ProjectSpec
from noria.steps.check_batch import CheckBatchRequest, check_batch
from noria.steps.close_batch import CloseBatchRequest, CloseBatchResult, close_batch
from noria.steps.plan_batch import PlanBatchRequest, PlanBatchResult, plan_batch
from noria.steps.score_part import ScorePartRequest, ScorePartResult, score_part
from noria.storage.hashing import sha256_hex
from noria.storage.keys import (
    DRIFT,
    MANIFEST,
    OUTCOME,
    REFERENCE,
    batch_check_id,
    batch_key,
    check_key,
    dataset_key,
    inbox_key,
)
from tests.support.fakes import MemoryAliases, MemoryArtifacts, MemoryState, SteppingClock
from tests.support.trained import tiny_bundle

N_TRAINED = 1000
SPEC = """
[project]
name = "p"
task = "regression"
description = "one number"
[dataset.columns]
x = { type = "number", aliases = ["X"] }
[target]
column = "y"
[split]
kind = "random"
[[features]]
name = "n"
kind = "numeric"
columns = ["x"]
[[candidates]]
name = "c"
algorithm = "linear_regression"
[evaluation]
primary_metric = "rmse"
metrics = ["rmse"]
[batch]
id_columns = ["id"]
rows_per_part = 100
max_refused_fraction = 0.2
"""


class Jobs:
    """A project with a champion, and its batch jobs."""

    def __init__(
        self,
        bundle: Mapping[str, bytes] | None = None,
        *,
        prior_shift: Literal["keep", "correct"] = "keep",
        is_watched: bool = False,
        **batch: Any,
    ) -> None:
        """`is_watched` gives the champion a reference profile: rows of `csv_file`."""
        spec = parse_spec(SPEC, source="p.toml")
        decision = spec.decision.model_copy(update={"prior_shift": prior_shift})
        changes = {"batch": spec.batch.model_copy(update=batch), "decision": decision}
        self.spec = spec.model_copy(update=changes)
        self.store, self.aliases = MemoryArtifacts(), MemoryAliases()
        self.clock, self.models = SteppingClock(), BatchModels(self.store)
        self.state = MemoryState()
        self.reference = _reference(self.spec)
        watched = {REFERENCE: self.reference} if is_watched else {}
        self.promote("v1", {**(bundle or tiny_bundle()), **watched})

    def promote(self, version: str, bundle: Mapping[str, bytes]) -> None:
        """Register a version, trained on `inbox/p/<hash>/old.csv`, and make it the champion."""
        lineage = Lineage("d1", "s", {}, None, "r", "e", "lambda", "c")
        write_version(self.store, "p", version, bundle, VersionFacts("", lineage))
        old = inbox_key("p", sha256_hex(csv_file(N_TRAINED)), "old.csv")
        manifest = DatasetManifest("p", "d1", {}, N_TRAINED, 0, sources=(old,))
        self.store.put(dataset_key("p", "d1", MANIFEST), to_bytes(manifest))
        revision = self.aliases.read("p").revision
        at = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
        self.aliases.apply(Promotion("p", version, version, revision, "manual", "t", "t", at))

    def put_on_probation(self, bundle: Mapping[str, bytes], before: str = "v1") -> None:
        """Make a version v2 champion, beside which the one before answers unseen."""
        self.promote("v2", bundle)
        revision, at = self.aliases.read("p").revision, self.clock.now()
        until = (at + timedelta(days=2)).isoformat()
        change = RolloutChange(
            "p", "probation", before, revision, "shadow", 1.0, "r", "t", at.isoformat(), until
        )
        self.aliases.apply(change)

    def plan(
        self,
        body: bytes,
        name: str = "rows.csv",
        *,
        owner: str = "e1",
        folder: str = "j1",
        event: str = "s1",
        limit: int | None = None,
        is_job: bool = True,
    ) -> PlanBatchResult:
        """Put a file into the batch inbox and plan it."""
        self.key = f"batch-inbox/p/{folder}/{name}" if folder else f"batch-inbox/p/{name}"
        self.store.put(self.key, body)
        if is_job:
            job = json.dumps({"filename": name, "limit": limit}).encode()
            self.store.put(batch_key("p", folder, "job.json"), job)
        return plan_batch(
            PlanBatchRequest("p", self.key, event, owner),
            spec=self.spec, store=self.store, aliases=self.aliases, clock=self.clock,
        )  # fmt: skip

    def score(self, job_id: str, part: int) -> ScorePartResult:
        """Score one part."""
        request = ScorePartRequest("p", job_id, part)
        return score_part(request, spec=self.spec, artifacts=self.store, models=self.models)

    def check(self, job_id: str) -> BatchCheck | None:
        """Compare the rows of a job, all parts scored, with training."""
        return check_batch(
            CheckBatchRequest("p", job_id),
            spec=self.spec, store=self.store, aliases=self.aliases, state=self.state,
            clock=self.clock,
        ).check  # fmt: skip

    def close(
        self,
        failure: str | None = None,
        check: BatchCheck | None = None,
        *,
        release: str | None = None,
    ) -> CloseBatchResult:
        """Close the job of the file that was planned last."""
        request = CloseBatchRequest("p", self.key, "s1", failure, check, release)
        return close_batch(request, spec=self.spec, store=self.store, clock=self.clock)

    def run(self, body: bytes, name: str = "rows.csv", **more: Any) -> CloseBatchResult:
        """Plan a file, score its parts, check its rows, close the job."""
        plan = self.plan(body, name, **more)
        for part in range(plan.n_parts):
            self.score(plan.job_id, part)
        return self.close(check=self.check(plan.job_id) if plan.n_parts else None)

    def outcome(self, job_id: str = "j1") -> BatchOutcome:
        """Return how a job ended."""
        return from_bytes(BatchOutcome, self.store.get(batch_key("p", job_id, OUTCOME)))

    def drift(self, job_id: str = "j1") -> DriftReport:
        """Return the check of a job, whole."""
        key = check_key("p", batch_check_id(job_id), DRIFT)
        return from_bytes(DriftReport, self.store.get(key))

    def answers(self, closed: CloseBatchResult) -> list[dict[str, str]]:
        """Return the rows of the results."""
        assert closed.result_key is not None, "the job wrote no results"
        return list(csv.DictReader(io.StringIO(self.store.get(closed.result_key).decode())))


def _reference(spec: ProjectSpec) -> bytes:
    rows = [{"x": float(k % 10)} for k in range(N_TRAINED)]
    facts = OutOfFoldFacts((), [Answer(2.0 * row["x"] + 1.0) for row in rows], {"rmse": 0.0})
    return build_reference(spec, rows, {}, facts).to_bytes()


def csv_file(n: int, bad: Collection[int] = (), *, n_values: int = 10) -> bytes:
    """Return a file of `n` rows; those at `bad` hold no number."""
    rows = (f"i{k},{'much' if k in bad else k % n_values}\n" for k in range(n))
    return ("id,X\n" + "".join(rows)).encode()


def parquet_file(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the rows as a Parquet file."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()
