"""The API's operations as requests: what both clients send."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

from noria_client.shapes import Inputs, Label


class Call(NamedTuple):
    """One request."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, str] = {}

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice is as good as once, should an answer be lost."""
        return self.method == "GET"


def _of(project: str, rest: str) -> str:
    return f"/projects/{quote(project, safe='')}/{rest}"


def _given(**fields: Any) -> dict[str, Any]:
    """Return the fields that were given."""
    return {name.rstrip("_"): value for name, value in fields.items() if value is not None}


def _new_id() -> str:
    return f"client-{uuid4().hex}"


def health() -> Call:
    """GET /health."""
    return Call("GET", "/health")


def document() -> Call:
    """GET /openapi.json."""
    return Call("GET", "/openapi.json")


def predict(
    project: str,
    inputs: Inputs,
    record_id: str | None = None,
    explain: bool | int | None = None,
    true_label: Label | None = None,
) -> Call:
    """POST …/predict."""
    more = _given(record_id=record_id, explain=explain, true_label=true_label)
    return Call("POST", _of(project, "predict"), {"inputs": inputs, **more})


def predict_batch(project: str, rows: Sequence[Inputs]) -> Call:
    """POST …/predict/batch."""
    return Call("POST", _of(project, "predict/batch"), {"items": [{"inputs": r} for r in rows]})


def model(project: str) -> Call:
    """GET …/model."""
    return Call("GET", _of(project, "model"))


def feedback(
    project: str, label: Label, prediction_id: str | None = None, record_id: str | None = None
) -> Call:
    """POST …/feedback, one label."""
    if (prediction_id is None) == (record_id is None):
        raise ValueError("name the row by prediction_id or by record_id, one of both")
    known = _given(prediction_id=prediction_id, record_id=record_id)
    return Call("POST", _of(project, "feedback"), {**known, "label": label})


def feedback_of_records(project: str, labels: Mapping[str, Label]) -> Call:
    """POST …/feedback, labels by record id."""
    found = [{"record_id": record_id, "label": label} for record_id, label in labels.items()]
    return Call("POST", _of(project, "feedback"), {"labels": found})


def drift(project: str, window: str | None = None) -> Call:
    """GET …/monitoring/drift."""
    return Call("GET", _of(project, "monitoring/drift"), query=_given(window=window))


def metrics(project: str, date: str | None = None) -> Call:
    """GET …/monitoring/metrics."""
    return Call("GET", _of(project, "monitoring/metrics"), query=_given(date=date))


def features(project: str, threshold: float | None = None, window: str | None = None) -> Call:
    """GET …/monitoring/features."""
    query = _given(threshold=None if threshold is None else str(threshold), window=window)
    return Call("GET", _of(project, "monitoring/features"), query=query)


def performance(project: str) -> Call:
    """GET …/monitoring/performance."""
    return Call("GET", _of(project, "monitoring/performance"))


def baseline(project: str, hours: int | None = None) -> Call:
    """POST …/monitoring/baseline."""
    return Call("POST", _of(project, "monitoring/baseline"), _given(hours=hours))


def create_job(project: str, filename: str, limit: int | None = None) -> Call:
    """POST …/batch-jobs."""
    return Call("POST", _of(project, "batch-jobs"), _given(filename=filename, limit=limit))


def job(project: str, job_id: str) -> Call:
    """GET …/batch-jobs/{job_id}."""
    return Call("GET", _of(project, f"batch-jobs/{quote(job_id, safe='')}"))


def cancel_job(project: str, job_id: str) -> Call:
    """POST …/batch-jobs/{job_id}/cancel."""
    return Call("POST", _of(project, f"batch-jobs/{quote(job_id, safe='')}/cancel"))


def start_check(
    project: str,
    retrain: bool | None = None,
    force: bool | None = None,
    check_id: str | None = None,
) -> Call:
    """POST …/monitoring/checks; with an id, so that sending it again starts nothing more."""
    body = _given(retrain=retrain, force=force, check_id=check_id or _new_id())
    return Call("POST", _of(project, "monitoring/checks"), body)


def check(project: str, check_id: str) -> Call:
    """GET …/monitoring/checks/{check_id}."""
    return Call("GET", _of(project, f"monitoring/checks/{quote(check_id, safe='')}"))


def start_training(
    project: str,
    how: str | None = None,
    files: Sequence[str] | None = None,
    run_id: str | None = None,
) -> Call:
    """POST …/trainings; with an id, so that sending it again starts nothing more."""
    body = _given(how=how, files=files and [*files], run_id=run_id or _new_id())
    return Call("POST", _of(project, "trainings"), body)


def training(project: str, run_id: str) -> Call:
    """GET …/trainings/{run_id}."""
    return Call("GET", _of(project, f"trainings/{quote(run_id, safe='')}"))


def promote(project: str, model_version: str, reason: str) -> Call:
    """POST …/promotions."""
    body = {"model_version": model_version, "reason": reason}
    return Call("POST", _of(project, "promotions"), body)


def roll_back(project: str, from_: str, to: str | None = None, reason: str | None = None) -> Call:
    """POST …/rollback."""
    return Call("POST", _of(project, "rollback"), _given(from_=from_, to=to, reason=reason))


def answer_approval(project: str, model_version: str, *, approve: bool) -> Call:
    """POST …/approval."""
    body = {"approve": approve, "model_version": model_version}
    return Call("POST", _of(project, "approval"), body)


def audit(before: int | None = None, limit: int | None = None) -> Call:
    """GET /audit; `next` of a page is the `before` of the next one."""
    return Call("GET", "/audit", query=_given(before=before, limit=limit))


def history(project: str) -> Call:
    """GET …/history."""
    return Call("GET", _of(project, "history"))
