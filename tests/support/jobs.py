"""A batch job from its file to its end, in memory."""

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet

from noria.columnar.engine import BatchModels
from noria.records.alias import Promotion
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from noria.spec.loader import parse_spec
from noria.steps.close_batch import CloseBatchRequest, CloseBatchResult, close_batch
from noria.steps.plan_batch import PlanBatchRequest, PlanBatchResult, plan_batch
from noria.steps.score_part import ScorePartRequest, ScorePartResult, score_part
from noria.storage.keys import batch_key
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.trained import tiny_bundle

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
        **batch: Any,
    ) -> None:
        spec = parse_spec(SPEC, source="p.toml")
        decision = spec.decision.model_copy(update={"prior_shift": prior_shift})
        changes = {"batch": spec.batch.model_copy(update=batch), "decision": decision}
        self.spec = spec.model_copy(update=changes)
        self.store, self.aliases = MemoryArtifacts(), MemoryAliases()
        self.clock, self.models = SteppingClock(), BatchModels(self.store)
        self.promote("v1", bundle or tiny_bundle())

    def promote(self, version: str, bundle: Mapping[str, bytes]) -> None:
        """Register a version and make it the champion."""
        write_version(self.store, "p", version, bundle, VersionFacts())
        revision = self.aliases.read("p").revision
        at = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
        self.aliases.apply(Promotion("p", version, version, revision, "manual", "t", "t", at))

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

    def close(self, failure: str | None = None) -> CloseBatchResult:
        """Close the job of the file that was planned last."""
        request = CloseBatchRequest("p", self.key, "s1", failure)
        return close_batch(request, spec=self.spec, store=self.store, clock=self.clock)

    def run(self, body: bytes, name: str = "rows.csv", **more: Any) -> CloseBatchResult:
        """Plan a file, score its parts, close the job."""
        plan = self.plan(body, name, **more)
        for part in range(plan.n_parts):
            self.score(plan.job_id, part)
        return self.close()

    def answers(self, closed: CloseBatchResult) -> list[dict[str, str]]:
        """Return the rows of the results."""
        assert closed.result_key is not None, "the job wrote no results"
        return list(csv.DictReader(io.StringIO(self.store.get(closed.result_key).decode())))


def csv_file(n: int, bad: Collection[int] = ()) -> bytes:
    """Return a file of `n` rows; those at `bad` hold no number."""
    rows = (f"i{k},{'much' if k in bad else k % 10}\n" for k in range(n))
    return ("id,X\n" + "".join(rows)).encode()


def parquet_file(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the rows as a Parquet file."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()
