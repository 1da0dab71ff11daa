"""Labels that come later: what callers may send, and how it is filed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from noria.data.targets import TargetReader
from noria.errors import InvalidInputError
from noria.ports import ArtifactStore, Clock
from noria.storage.hashing import canonical_json, short_id
from noria.storage.hours import hour_name
from noria.storage.ids import OLDEST_ANSWER_DAYS, hashed_record_id, time_of
from noria.storage.keys import labels_key

MAX_LABELS = 1000
MAX_ID_CHARACTERS = 100
_IDS = ("prediction_id", "record_id")
_SKEW = timedelta(hours=1)  # between the clocks of Noria and of whoever made up an id


def is_id(value: Any) -> bool:
    """Return whether a value may name a prediction or a record."""
    return isinstance(value, str) and 1 <= len(value) <= MAX_ID_CHARACTERS


def read_label(value: Any, reader: TargetReader) -> tuple[Any, str | None]:
    """Return (class or value, None), or (None, why it is none), as training would have read it."""
    label, reason = reader.read(value)
    if label is None and reason is None:
        reason = "means 'no label yet' (target.unlabelled, dataset.missing); send it when known"
    return label, reason


def file_labels(
    project: str,
    body: Any,
    *,
    reader: TargetReader,
    hashes_ids: bool = False,
    artifacts: ArtifactStore,
    clock: Clock,
) -> dict[str, Any]:
    """File the labels of a request as one object; name those that cannot be read.

    Parameters
    ----------
    body : JSON value
        {"prediction_id" or "record_id": "…", "label": …}, or {"labels": [such, …]}.
    reader : TargetReader
        Of the champion: labels are stored as its classes or in its target's unit.
    hashes_ids : bool
        Whether record ids are personal: their hashes are filed, as the log holds them.

    Returns
    -------
    dict
        `n_labels` filed; `n_refused`, and of each refused one the field and the reason in
        `errors`.

    Notes
    -----
    The same labels sent again are the same object, at its latest time. Of several labels for one
    id the latest counts. A label may come before its prediction has left the log's buffer, and
    up to 90 days after it: they are joined when performance is looked at.

    Raises
    ------
    InvalidInputError
        No label of the request can be read; each is named with its reason.
    """
    is_many = isinstance(body, Mapping) and set(body) == {"labels"}
    labels = body["labels"] if is_many else [body]
    if not isinstance(labels, list) or not 1 <= len(labels) <= MAX_LABELS:
        raise _invalid([{"field": "labels", "reason": f"must be a list of 1 to {MAX_LABELS}"}])
    now = clock.now()
    filed, faults = [], []
    for number, given in enumerate(labels):
        label, reason = _read(given, reader, now)
        if reason:
            faults.append({"field": f"labels.{number}", "reason": reason})
        else:
            ids = {name: given[name] for name in _IDS if name in given}
            if hashes_ids and "record_id" in ids:
                ids["record_id"] = hashed_record_id(project, ids["record_id"])
            filed.append({**ids, "label": label})
    if not filed:
        raise _invalid(faults)
    key = labels_key(project, hour_name(now), short_id(canonical_json(filed)))
    artifacts.put(key, canonical_json({"at": now.isoformat(), "labels": filed}))
    counts = {"project": project, "n_labels": len(filed), "n_refused": len(faults)}
    return counts | ({"errors": faults} if faults else {})


def _read(given: Any, reader: TargetReader, now: datetime) -> tuple[Any, str | None]:
    if not isinstance(given, Mapping) or "label" not in given:
        return None, "must be {'prediction_id' or 'record_id': '…', 'label': …}"
    ids = [name for name in _IDS if name in given]
    if len(ids) != 1 or set(given) != {ids[0], "label"}:
        return None, "needs exactly one of prediction_id and record_id, and label"
    if not is_id(given[ids[0]]):
        return None, f"{ids[0]} must be 1 to {MAX_ID_CHARACTERS} characters"
    if ids[0] == "prediction_id" and (fault := _id_fault(given["prediction_id"], now)):
        return None, fault
    label, reason = read_label(given["label"], reader)
    return label, reason and f"label {reason}"


def _id_fault(prediction_id: str, now: datetime) -> str | None:
    at = time_of(prediction_id)
    if at is None or at > now + _SKEW:
        return "prediction_id is none that Noria gave; send the one of the answer"
    if at < now - timedelta(days=OLDEST_ANSWER_DAYS):
        return f"prediction_id is of an answer more than {OLDEST_ANSWER_DAYS} days ago"
    return None


def _invalid(faults: list[dict[str, str]]) -> InvalidInputError:
    named = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in faults[:5])
    return InvalidInputError(f"the labels cannot be read: {named}", errors=faults)
