"""Which job a file in the batch inbox is."""

import json
from typing import Any

from noria.ports import ArtifactStore
from noria.storage.hashing import short_id
from noria.storage.keys import JOB, batch_inbox_prefix, batch_key


def job_of_file(
    store: ArtifactStore, project: str, source_key: str
) -> tuple[str | None, dict[str, Any]]:
    """Return the id and the settings of the job that a file was uploaded for; (None, {}) of none.

    Such a file lies in a folder named like its job, and the job names the file.
    """
    folder, _, filename = source_key.removeprefix(batch_inbox_prefix(project)).partition("/")
    try:
        job: dict[str, Any] = json.loads(store.get(batch_key(project, folder, JOB)))
    except KeyError:
        return None, {}
    return (folder, job) if job["filename"] == filename else (None, {})


def job_id_of(store: ArtifactStore, project: str, source_key: str, event: str) -> str:
    """Return the id of a file's job: its own, or one of this very upload.

    Parameters
    ----------
    event : str
        What S3 numbers the upload with: equal for doubled events, new for each upload.
    """
    job_id, _ = job_of_file(store, project, source_key)
    return job_id or short_id(f"{source_key}\n{event}".encode())
