"""Batch jobs as the API shows them: a place to upload, how far it is, where the results are."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from noria.api.bodies import Shown, invalid
from noria.errors import NoJobError
from noria.ports import Clock, LinkedStore
from noria.records.batch import BatchOutcome, BatchPlan, JobRequest
from noria.records.codec import encode, from_bytes, to_bytes
from noria.records.performance import JobPerformance
from noria.spec.catalog import BATCH_SUFFIXES
from noria.storage.hashing import canonical_json
from noria.storage.ids import new_prediction_id
from noria.storage.keys import (
    CANCELLED,
    JOB,
    OUTCOME,
    PERFORMANCE,
    PLAN,
    REPORT_HTML,
    batch_inbox_prefix,
    batch_key,
)

LINK_SECONDS = 900
_LONGEST = timedelta(days=1)  # that the state machine gives a job
MAX_LIMIT = 1_000_000
FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_JOB_ID = re.compile(r"[A-Za-z0-9-]{1,80}")


def create_job(project: str, body: Any, *, store: LinkedStore, clock: Clock) -> Shown:
    """Return a job with the address to upload its file to; the upload starts it.

    Parameters
    ----------
    body : JSON value
        {"filename": "…", "limit"?: rows to score at most, for a try}.

    Raises
    ------
    InvalidInputError
        Names the field and the reason.
    """
    if not isinstance(body, Mapping) or not {"filename"} <= set(body) <= {"filename", "limit"}:
        raise invalid("body", 'must be {"filename": "…", "limit"?: rows}')
    filename, limit = body["filename"], body.get("limit")
    if not isinstance(filename, str) or not FILENAME.fullmatch(filename):
        raise invalid("filename", "must be 1 to 121 letters, digits, dots, dashes, underscores")
    if not filename.endswith(BATCH_SUFFIXES):
        raise invalid("filename", f"must end in one of: {', '.join(BATCH_SUFFIXES)}")
    if limit is not None and (
        isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT
    ):
        raise invalid("limit", f"must be a number of rows from 1 to {MAX_LIMIT:,}")
    now = clock.now()
    job_id = new_prediction_id(now)
    job = JobRequest(filename, limit, now.isoformat())
    store.put(batch_key(project, job_id, JOB), to_bytes(job))
    key = f"{batch_inbox_prefix(project)}{job_id}/{filename}"
    return {
        "project": project,
        "job_id": job_id,
        "state": "waiting_for_file",
        "upload": {
            "method": "PUT",
            "url": store.link("PUT", key, LINK_SECONDS),
            "expires_in_seconds": LINK_SECONDS,
        },
    }


def read_job(project: str, job_id: str, *, store: LinkedStore, clock: Clock) -> Shown:
    """Return how a job stands: state, progress in [0, 1], and links to what there is.

    States: `waiting_for_file`, `running`, `completed`, `held`, `rejected`, `cancelled`, `failed`.
    NoJobError when there is none of that id.
    """
    job = _record(JobRequest, store, project, job_id, JOB)
    plan = _record(BatchPlan, store, project, job_id, PLAN)
    outcome = _record(BatchOutcome, store, project, job_id, OUTCOME)
    if not (job or plan or outcome):
        raise NoJobError(
            f"project '{project}' has no batch job '{job_id[:80]}'", job_id=job_id[:80]
        )
    now = clock.now()
    shown: Shown = {"project": project, "job_id": job_id, "progress": 0.0}
    if outcome:
        state = outcome.outcome.removeprefix("Batch").lower()
        shown |= {"state": state, "progress": 1.0, "summary": outcome.summary}
        counts = outcome.counts and encode(outcome.counts)
        shown |= {"counts": counts, "model_version": outcome.model_version}
        shown |= {"health": outcome.health, "drifted": outcome.drifted}
        if performance := _record(JobPerformance, store, project, job_id, PERFORMANCE):
            shown["performance"] = encode(performance)
        page = batch_key(project, job_id, REPORT_HTML)  # is written after the outcome
        keys = {
            "result": outcome.result_key,
            "refused": outcome.refused_key,
            "report": page if store.exists(page) else None,
        }
        links = {name: store.link("GET", key, LINK_SECONDS) for name, key in keys.items() if key}
        return shown | {"links": links, "links_expire_in_seconds": LINK_SECONDS}
    if plan:
        if now - datetime.fromisoformat(plan.started_at) > _LONGEST:
            return shown | {"state": "failed", "summary": "it took longer than a day"}
        done = store.count(batch_key(project, job_id, "summary/"))
        n_parts = max(1, len(plan.parts))
        return shown | {"state": "running", "progress": round(min(done / n_parts, 0.99), 3)}
    return shown | {"state": "waiting_for_file"}


def cancel_job(project: str, job_id: str, *, store: LinkedStore, clock: Clock) -> Shown:
    """Ask a job to stop before its next part; what has ended stays as it ended."""
    shown = read_job(project, job_id, store=store, clock=clock)
    if shown["state"] in ("waiting_for_file", "running"):
        at = {"at": clock.now().isoformat()}
        store.put(batch_key(project, job_id, CANCELLED), canonical_json(at))
        shown["state"] = "cancelling"
    return shown


def _record[T](kind: type[T], store: LinkedStore, project: str, job_id: str, name: str) -> T | None:
    if not _JOB_ID.fullmatch(job_id):
        return None
    try:
        return from_bytes(kind, store.get(batch_key(project, job_id, name)))
    except KeyError:
        return None
