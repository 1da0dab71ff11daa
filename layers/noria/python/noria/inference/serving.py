"""Which model answers now: the champion of the alias, refreshed without a failed request."""

from collections.abc import Callable
from typing import NamedTuple

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.errors import (
    ModelError,
    NoChampionError,
    RegistryError,
    SettingsError,
    TransientError,
)
from noria.inference.predictor import Predictor
from noria.ports import ArtifactStore, ModelAliases
from noria.registry.versions import read_files

REFRESH_SECONDS = 10.0  # how old a read alias may be; a new champion serves within this


class Served(NamedTuple):
    """A model version that is loaded and answers."""

    predictor: Predictor
    model_version: str
    degraded: str | None  # why this is not simply the champion; None when it is


class ServedModels:
    """Keeps the champion of each project loaded.

    Parameters
    ----------
    monotonic : callable
        Seconds from any fixed point; tells when the alias was last read.

    Notes
    -----
    The alias is read again every `REFRESH_SECONDS`. A new champion is loaded beside the old one
    and takes over only when it is whole; if it cannot be loaded it is refused, the old one keeps
    answering, and `degraded` says why. A cold start that meets a broken champion answers with
    the previous one.
    """

    def __init__(
        self, artifacts: ArtifactStore, aliases: ModelAliases, monotonic: Callable[[], float]
    ) -> None:
        self._artifacts, self._aliases, self._monotonic = artifacts, aliases, monotonic
        self._served: dict[str, Served] = {}
        self._read_at: dict[str, float] = {}

    def get(self, project: str) -> Served:
        """Return what answers for a project.

        Raises
        ------
        NoChampionError
            Nothing has been promoted yet.
        ModelError, RegistryError, TransientError
            There is a champion, but neither it nor the previous one can be loaded.
        """
        served, now = self._served.get(project), self._monotonic()
        if served is None or now - self._read_at[project] >= REFRESH_SECONDS:
            served = self._refreshed(project, served)
            # After the refresh: a slow store must not make every request wait for it.
            self._served[project], self._read_at[project] = served, self._monotonic()
        return served

    def _refreshed(self, project: str, served: Served | None) -> Served:
        try:
            record = self._aliases.read(project)
        except (TransientError, SettingsError) as error:
            if served is None:
                raise
            return served._replace(degraded=f"the alias cannot be read: {error.message}")
        if record.champion is None:
            raise NoChampionError(
                f"project '{project}' has no champion yet; train one: noria train {project}",
                project=project,
            )
        if served is not None and served.model_version == record.champion:
            return served._replace(degraded=None)
        try:
            return Served(self._load(project, record.champion), record.champion, None)
        except (ModelError, RegistryError, TransientError, SettingsError) as error:
            reason = f"champion {record.champion} was refused: {error.message}"
            if served is not None:
                return served._replace(degraded=reason)
            if record.previous_champion is None:
                raise
            fallback = self._load(project, record.previous_champion)
            return Served(fallback, record.previous_champion, reason)

    def _load(self, project: str, model_version: str) -> Predictor:
        names = (BUNDLE_FILE, ARRAYS_FILE)
        return Predictor(read_files(self._artifacts, project, model_version, names))
