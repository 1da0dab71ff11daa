"""Gather a batch: one result file in the order of the rows, one of refused rows, one summary."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO

from noria.batch.jobs import job_id_of
from noria.batch.parquet import as_parquet
from noria.batch.results import merged
from noria.errors import ModelCorruptError
from noria.ports import Clock, FileStore
from noria.spec.catalog import BATCH_SUFFIXES
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    CANCELLED,
    OUTCOME,
    PLAN,
    batch_key,
    batch_result_key,
    batch_values_prefix,
    part_key,
)


@dataclass(frozen=True)
class CloseBatchRequest:
    """Which job, and what went wrong if something did."""

    project: str
    source_key: str
    event: str  # S3's number of the upload
    failure: str | None = None  # the error that ended planning or scoring


@dataclass(frozen=True)
class CloseBatchResult:
    """How the job ended; in full in `outcome.json`."""

    job_id: str
    outcome: str  # "BatchCompleted", "BatchRejected", "BatchCancelled", "BatchFailed"
    summary: str
    result_key: str | None
    refused_key: str | None
    summary_key: str


def close_batch(
    request: CloseBatchRequest, *, spec: ProjectSpec, store: FileStore, clock: Clock
) -> CloseBatchResult:
    """Write the results under `batch-results/<project>/`, and how it went; the same again is one.

    Results are written only when every part was scored and no more rows were refused than the
    spec tolerates; refused rows and the summary always are.
    """
    job_id = job_id_of(store, spec.name, request.source_key, request.event)
    key = batch_key(spec.name, job_id, OUTCOME)
    if store.exists(key):
        return _result(json.loads(store.get(key)), key)
    try:
        plan = json.loads(store.get(batch_key(spec.name, job_id, PLAN)))
    except KeyError:  # planning failed
        plan = {
            "project": spec.name, "job_id": job_id, "started_at": clock.now().isoformat(),
            "source_key": request.source_key, "filename": request.source_key.rpartition("/")[2],
            "limit": None, "reasons": [], "parts": [],
        }  # fmt: skip
    closing = _Closing(spec, store, plan)
    document = closing.run(request.failure)
    document |= {
        "finished_at": clock.now().isoformat(),
        "seconds": (clock.now() - datetime.fromisoformat(plan["started_at"])).total_seconds(),
    }
    store.put(key, canonical_json(document))
    return _result(document, key)


def _result(document: dict[str, Any], key: str) -> CloseBatchResult:
    kept = ("outcome", "summary", "result_key", "refused_key")
    return CloseBatchResult(
        **{name: document[name] for name in kept}, job_id=document["job_id"], summary_key=key
    )


class _Closing:
    """One job's end."""

    def __init__(self, spec: ProjectSpec, store: FileStore, plan: dict[str, Any]) -> None:
        self._spec, self._store, self._plan = spec, store, plan
        self._job_id: str = plan["job_id"]

    def run(self, failure: str | None) -> dict[str, Any]:
        """Return the job's document."""
        document = {
            **{k: v for k, v in self._plan.items() if k not in ("parts", "layout")},
            "n_parts": len(self._plan["parts"]),
            "counts": None,
            "result_key": None,
            "refused_key": None,
        }
        outcome, summary = self._early_end(failure)
        if outcome:
            return document | {"outcome": outcome, "summary": summary}
        counts = merged(self._counts())
        document |= {"counts": counts, "refused_key": self._refused(counts)}
        limit = self._spec.batch.max_refused_fraction
        share = counts["n_refused"] / max(1, counts["n_rows"])
        text = f"{counts['n_answered']:,} of {counts['n_rows']:,} rows answered"
        if counts["n_refused"]:
            text += f", {counts['n_refused']:,} refused"
        if share > limit or not counts["n_answered"]:
            reason = f"{text}: {share:.1%} refused, at most {limit:.1%} tolerated"
            return document | {
                "outcome": "BatchRejected",
                "summary": f"{reason} (batch.max_refused_fraction); no results are written",
            }
        self._keep_values(counts)
        return document | {
            "outcome": "BatchCompleted",
            "summary": f"{text} by {self._plan['model_version']}",
            "result_key": self._results(),
        }

    def _early_end(self, failure: str | None) -> tuple[str | None, str]:
        if self._store.exists(batch_key(self._spec.name, self._job_id, CANCELLED)):
            return "BatchCancelled", "cancelled; no results are written"
        if self._plan["reasons"]:
            return "BatchRejected", "; ".join(self._plan["reasons"])
        if failure or not self._plan["parts"]:
            return (
                "BatchFailed",
                f"failed: {(failure or 'nothing was planned')[:500]}; start it again as a new job",
            )
        return None, ""

    def _bodies(self, kind: str) -> Iterator[bytes]:
        for number in range(len(self._plan["parts"])):
            yield self._store.get(part_key(self._spec.name, self._job_id, kind, number))

    def _counts(self) -> Iterator[dict[str, Any]]:
        for number in range(len(self._plan["parts"])):
            key = part_key(self._spec.name, self._job_id, "summary", number)
            try:
                yield json.loads(self._store.get(key))
            except KeyError as error:
                raise ModelCorruptError(f"{key}: this part was never scored", key=key) from error

    def _results(self) -> str:
        form = self._spec.batch.format
        key = batch_result_key(self._spec.name, f"{self._stem()}.{form}")
        bodies = self._bodies("answers")
        stream = as_parquet(bodies) if form == "parquet" else joined(bodies)
        with stream:
            self._store.put_stream(key, stream)
        return key

    def _refused(self, counts: dict[str, Any]) -> str | None:
        # Overwritten results must not keep the refused rows of an earlier file beside them.
        if not counts["n_refused"] and self._spec.batch.results == "dated":
            return None
        key = batch_result_key(self._spec.name, f"{self._stem()}-refused.jsonl.gz")
        bodies = self._bodies("refused") if counts["n_refused"] else iter([b""])
        packed = (gzip.compress(body, mtime=0) for body in bodies)
        with joined(packed) as stream:
            self._store.put_stream(key, stream)
        return key

    def _stem(self) -> str:
        """Return the results' name: of the day and the job, or of the file alone."""
        name: str = self._plan["filename"]
        for suffix in BATCH_SUFFIXES:
            name = name.removesuffix(suffix)
        if self._spec.batch.results == "overwritten":
            return name
        return f"{self._plan['started_at'][:10]}/{self._job_id}/{name}"

    def _keep_values(self, counts: dict[str, Any]) -> None:
        """Keep the batch's business values: later batches have their bands from them."""
        spread = (counts["values"] or {}).get("spread")
        if spread and not self._plan["limit"]:
            name = f"{self._plan['started_at']}-{self._job_id}.json"
            self._store.put(batch_values_prefix(self._spec.name) + name, canonical_json(spread))


class _Joined(RawIOBase):
    """Byte strings, one after another, as a stream; one of them is in memory."""

    def __init__(self, bodies: Iterator[bytes]) -> None:
        self._bodies, self._left = bodies, memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        while not self._left:
            body = next(self._bodies, None)
            if body is None:
                return 0
            self._left = memoryview(body)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def joined(bodies: Iterator[bytes]) -> BinaryIO:
    """Return byte strings as one stream that holds one of them at a time."""
    return BufferedReader(_Joined(bodies), 1 << 20)
