"""Labels that come over the API: what callers may send."""

from collections.abc import Mapping
from typing import Any

from noria.api.bodies import Shown
from noria.data.labels import put_labels, read_given_label
from noria.data.targets import TargetReader
from noria.errors import InvalidInputError
from noria.ports import ArtifactStore, Clock

MAX_LABELS = 1000


def file_labels(
    project: str,
    body: Any,
    *,
    reader: TargetReader,
    hashes_ids: bool = False,
    artifacts: ArtifactStore,
    clock: Clock,
) -> Shown:
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
        label, reason = read_given_label(given, reader, now)
        if reason:
            faults.append({"field": f"labels.{number}", "reason": reason})
        else:
            filed.append({**given, "label": label})
    if not filed:
        raise _invalid(faults)
    put_labels(artifacts, project, filed, now, hashes_ids=hashes_ids)
    counts = {"project": project, "n_labels": len(filed), "n_refused": len(faults)}
    return counts | ({"errors": faults} if faults else {})


def _invalid(faults: list[dict[str, str]]) -> InvalidInputError:
    named = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in faults[:5])
    return InvalidInputError(f"the labels cannot be read: {named}", errors=faults)
