"""Labels that come later: what callers may send, and how it is filed."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from noria.errors import InvalidInputError
from noria.ports import ArtifactStore, Clock
from noria.storage.hashing import canonical_json, short_id
from noria.storage.hours import hour_name
from noria.storage.keys import labels_key

MAX_LABELS = 1000
MAX_ID_CHARACTERS = 100
LABEL_FAULT = "must be a class name of 1 to 100 characters, or a finite number"
_IDS = ("prediction_id", "record_id")


def is_id(value: Any) -> bool:
    """Return whether a value may name a prediction or a record."""
    return isinstance(value, str) and 1 <= len(value) <= MAX_ID_CHARACTERS


def is_label(value: Any) -> bool:
    """Return whether a value may be a true class or a true number."""
    if isinstance(value, str):
        return 1 <= len(value) <= MAX_ID_CHARACTERS
    return not isinstance(value, bool) and isinstance(value, int | float) and isfinite(value)


def file_labels(
    project: str, body: Any, *, artifacts: ArtifactStore, clock: Clock
) -> dict[str, Any]:
    """Check the labels of a request and write them as one object; return how many.

    Parameters
    ----------
    body : JSON value
        {"prediction_id" or "record_id": "…", "label": …}, or {"labels": [such, …]}.

    Notes
    -----
    The same labels sent again are the same object, at its latest time. Of several labels for one
    id the latest counts. A label may come before its prediction has left the log's buffer, and
    up to 90 days after it: they are joined when performance is looked at.

    Raises
    ------
    InvalidInputError
        Names every label that cannot be read; none is kept then.
    """
    is_many = isinstance(body, Mapping) and set(body) == {"labels"}
    labels = body["labels"] if is_many else [body]
    if not isinstance(labels, list) or not 1 <= len(labels) <= MAX_LABELS:
        raise _invalid([{"field": "labels", "reason": f"must be a list of 1 to {MAX_LABELS}"}])
    faults = [
        {"field": f"labels.{number}", "reason": reason}
        for number, label in enumerate(labels)
        if (reason := _fault_of(label))
    ]
    if faults:
        raise _invalid(faults)
    now = clock.now()
    key = labels_key(project, hour_name(now), short_id(canonical_json(labels)))
    artifacts.put(key, canonical_json({"at": now.isoformat(), "labels": labels}))
    return {"project": project, "n_labels": len(labels)}


def _fault_of(label: Any) -> str | None:
    if not isinstance(label, Mapping) or "label" not in label:
        return "must be {'prediction_id' or 'record_id': '…', 'label': …}"
    ids = [name for name in _IDS if name in label]
    if len(ids) != 1 or set(label) != {ids[0], "label"}:
        return "needs exactly one of prediction_id and record_id, and label"
    if not is_id(label[ids[0]]):
        return f"{ids[0]} must be 1 to {MAX_ID_CHARACTERS} characters"
    return None if is_label(label["label"]) else f"label {LABEL_FAULT}"


def _invalid(faults: list[dict[str, str]]) -> InvalidInputError:
    named = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in faults[:5])
    return InvalidInputError(f"the labels cannot be read: {named}", errors=faults)
