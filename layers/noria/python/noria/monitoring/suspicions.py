"""Evidence for what has moved, as a project keeps it between checks."""

from collections.abc import Callable

from noria.errors import StoreUnavailableError
from noria.ports import ProjectState
from noria.records.codec import from_bytes, to_bytes
from noria.records.drift import Suspicions

_ATTEMPTS = 5  # to write, where other checks run at the same moment


def update_suspicions[T](
    state: ProjectState,
    project: str,
    name: str,
    change: Callable[[Suspicions], tuple[Suspicions, T]],
) -> T:
    """Change a project's suspicions so that no other check is lost, and return what came of it.

    Parameters
    ----------
    name : str
        Of the record: `SUSPICIONS` or `BATCH_SUSPICIONS`.
    change : callable
        Takes what is stored; returns what to store, and the result. It may run several times.

    Raises
    ------
    StoreUnavailableError
        Other checks of the project run at the same moment; retry.
    """
    for _ in range(_ATTEMPTS):
        stored = state.read(project, name)
        before = from_bytes(Suspicions, stored.body) if stored.body else Suspicions()
        after, result = change(before)
        if state.write(project, name, to_bytes(after), expected_revision=stored.revision):
            return result
    raise StoreUnavailableError(f"{project}: other checks write its suspicions all the time")


def of_version(stored: Suspicions, model_version: str) -> Suspicions:
    """Return the suspicions of a model version: another one starts anew."""
    return stored if stored.model_version == model_version else Suspicions()
