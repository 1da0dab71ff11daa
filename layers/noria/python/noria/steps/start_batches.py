"""Start a batch for each file that waits for the schedule, and no file twice."""

from dataclasses import dataclass

from noria.ports import Executions, SearchableStore
from noria.storage.hashing import short_id
from noria.storage.keys import batch_schedule_prefix


@dataclass(frozen=True)
class StartBatchesRequest:
    """Of which project."""

    project: str


@dataclass(frozen=True)
class StartBatchesResult:
    """How many files were there."""

    n_started: int
    n_known: int  # they have been started before


def start_batches(
    request: StartBatchesRequest, *, store: SearchableStore, executions: Executions
) -> StartBatchesResult:
    """Start the batch machine on every file under `batch-scheduled/<project>/`.

    An execution is named after the file and when it was written: a retry starts nothing again, and
    a file that is replaced is a new one. Files stay where they are.
    """
    n_started = n_known = 0
    for file in store.under(batch_schedule_prefix(request.project)):
        if file.key.endswith("/"):  # the console's idea of a folder
            continue
        event = f"{file.modified_at.isoformat()}-{file.n_bytes}"
        name = f"scheduled-{short_id(f'{file.key}\n{event}'.encode())}"
        if executions.start("Batch", name, {"key": file.key, "sequencer": event}):
            n_started += 1
        else:
            n_known += 1
    return StartBatchesResult(n_started, n_known)
