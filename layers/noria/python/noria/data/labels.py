"""Labels that come later: how one is read, and how they are filed. Standard library only."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from noria.data.targets import TargetReader
from noria.ports import ArtifactStore
from noria.records.prediction import Row
from noria.storage.hashing import canonical_json, short_id
from noria.storage.hours import hour_name
from noria.storage.ids import OLDEST_ANSWER_DAYS, hashed_record_id, time_of
from noria.storage.keys import labels_key

MAX_ID_CHARACTERS = 100
ID_KINDS = ("prediction_id", "record_id")
ID_COLUMN = "id_column"  # of a filed label: which column its id stands in
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


def read_given_label(given: Any, reader: TargetReader, now: datetime) -> tuple[Any, str | None]:
    """Return (label, None), or (None, why it cannot be filed), of an id with its label.

    Parameters
    ----------
    given : JSON value
        {"prediction_id" or "record_id": "…", "label": …}.
    """
    if not isinstance(given, Mapping) or "label" not in given:
        return None, "must be {'prediction_id' or 'record_id': '…', 'label': …}"
    ids = [name for name in ID_KINDS if name in given]
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


def put_labels(
    artifacts: ArtifactStore,
    project: str,
    labels: Sequence[Row],
    now: datetime,
    *,
    hashes_ids: bool,
) -> None:
    """File labels that were read as one object; the same again is the same, at its latest time.

    Parameters
    ----------
    labels : sequence of {"prediction_id" or "record_id": "…", "label": class or value}
        And `id_column`, where the id is one of a column: only rows with it there are meant.
    hashes_ids : bool
        Whether record ids are personal: their hashes are filed, as the log holds them.
    """
    filed = [
        {**label, "record_id": hashed_record_id(project, label["record_id"])}
        if hashes_ids and "record_id" in label
        else dict(label)
        for label in labels
    ]
    key = labels_key(project, hour_name(now), short_id(canonical_json(filed)))
    artifacts.put(key, canonical_json({"at": now.isoformat(), "labels": filed}))
