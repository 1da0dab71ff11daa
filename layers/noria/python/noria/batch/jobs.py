"""Which job a file in the batch inbox belongs to."""

from noria.ports import ArtifactStore
from noria.records.batch import JobRequest
from noria.records.codec import from_bytes
from noria.storage.hashing import short_id
from noria.storage.keys import JOB, batch_inbox_prefix, batch_key


def requested_job(
    store: ArtifactStore, project: str, source_key: str
) -> tuple[str, JobRequest] | None:
    """Return the job that a file was uploaded for, with its id; None where there is none.

    Such a file lies in a folder named like its job, and the job names the file.
    """
    folder, _, filename = source_key.removeprefix(batch_inbox_prefix(project)).partition("/")
    try:
        job = from_bytes(JobRequest, store.get(batch_key(project, folder, JOB)))
    except KeyError:
        return None
    return (folder, job) if job.filename == filename else None


def job_id_of(store: ArtifactStore, project: str, source_key: str, event: str) -> str:
    """Return the id of a file's job: its own, or one of this very upload.

    Parameters
    ----------
    event : str
        What S3 numbers the upload with: equal for doubled events, new for each upload.
    """
    requested = requested_job(store, project, source_key)
    return requested[0] if requested else short_id(f"{source_key}\n{event}".encode())
