"""Which model answers now: the champion of the alias, refreshed without a failed request."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from noria.errors import (
    ModelCorruptError,
    ModelError,
    RegistryError,
    SettingsError,
    TransientError,
)
from noria.inference.loading import load_model_version
from noria.inference.predictor import Predictor
from noria.ports import ArtifactStore, Clock, ModelAliases
from noria.records.alias import AliasRecord
from noria.storage.hashing import sha256_hex

MODEL_REFUSED = "model_refused"  # what is reported when a version cannot be loaded
REFRESH_SECONDS = 10.0  # how old a read alias may be; a new champion serves within this


Report = Callable[[str, Mapping[str, Any]], None]


class Rollout(NamedTuple):
    """A challenger that sees some of the requests, as the alias record says."""

    record: AliasRecord
    predictor: Predictor | None  # None when it cannot be loaded; the champion then answers all
    is_silent: bool = False  # loaded, but its log would show what the champion's hides

    @property
    def model_version(self) -> str:
        """The challenger."""
        return str(self.record.challenger)

    def takes(self, unit: str, now: datetime) -> bool:
        """Return whether a request is the challenger's: the same unit always, other ones evenly.

        Parameters
        ----------
        unit : str
            The record id, or a hash of the inputs where there is none.
        now : datetime
            After the rollout's end the challenger gets nothing.
        """
        if self.is_silent or not self.record.is_rolling_out(now):
            return False
        digest = sha256_hex(f"{self.model_version}:{unit}".encode())
        return int(digest[:8], 16) < self.record.rollout_fraction * 2**32


class Served(NamedTuple):
    """A model version that is loaded and answers."""

    predictor: Predictor
    model_version: str
    degraded: str | None  # why this is not simply the champion; None when it is
    rollout: Rollout | None = None


class ServedModels:
    """Keeps the champion of each project loaded.

    Parameters
    ----------
    monotonic : callable
        Seconds from any fixed point; tells when the alias was last read.
    report : callable
        Takes `MODEL_REFUSED` and its facts when a version cannot be loaded.
    clock : Clock
        Tells whether a rollout's time is over: then its challenger is loaded no more.

    Notes
    -----
    The alias is read again every `REFRESH_SECONDS`. A new champion is loaded beside the old one
    and takes over only when it is whole; if it cannot be loaded it is refused, the old one keeps
    answering, and `degraded` says why. A cold start that meets a broken champion answers with
    the previous one.
    """

    def __init__(
        self,
        artifacts: ArtifactStore,
        aliases: ModelAliases,
        monotonic: Callable[[], float],
        report: Report,
        clock: Clock,
    ) -> None:
        self._artifacts, self._aliases, self._monotonic = artifacts, aliases, monotonic
        self._report, self._clock = report, clock
        self._served: dict[str, Served] = {}
        self._spares: dict[str, Served] = {}
        self._records: dict[str, AliasRecord] = {}  # as they were last read
        self._failing: set[tuple[str, str]] = set()
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
        # A simulated clock may go back.
        if served is None or not 0.0 <= now - self._read_at[project] < REFRESH_SECONDS:
            served = self._refreshed(project, served)
            # After the refresh: a slow store must not make every request wait for it.
            self._served[project], self._read_at[project] = served, self._monotonic()
        return served

    def spare(self, project: str, served: Served, fault: str) -> Served:
        """Return the previous champion for a row at which the serving version fails.

        Other rows stay the champion's: a caller who finds such a row moves nobody else's answers.

        Parameters
        ----------
        fault : str
            The class of what was raised.

        Raises
        ------
        ModelCorruptError
            There is no previous champion.
        ModelError, RegistryError, TransientError
            It cannot be loaded.
        """
        version, record = served.model_version, self._records[project]
        if (project, version) not in self._failing:  # told once a process, not once a row
            self._failing.add((project, version))
            self._refused(project, version, f"it fails at a row: {fault}")
        previous = record.previous_champion
        if previous is None or previous == version:
            raise ModelCorruptError(f"{version} fails at a row, and no other version has served")
        known = self._spares.get(project)
        if known is None or known.model_version != previous:
            predictor = self._load(project, previous, record.previous_manifest)
            known = self._spares[project] = Served(predictor, previous, None)
        return known

    def _refreshed(self, project: str, served: Served | None) -> Served:
        try:
            record = self._aliases.read(project)
        except (TransientError, SettingsError) as error:
            if served is None:
                raise
            return served._replace(degraded=f"the alias cannot be read: {error.message}")
        self._records[project] = record
        champion = self._champion(project, record, served)
        rollout = self._rollout(record, served)
        return champion._replace(rollout=rollout and _beside(champion.predictor, rollout))

    def _champion(self, project: str, record: AliasRecord, served: Served | None) -> Served:
        champion = record.require_champion()
        if served is not None and served.model_version == champion:
            return served._replace(degraded=None)
        try:
            predictor = self._load(project, champion, record.champion_manifest)
            return Served(predictor, champion, None)
        except (ModelError, RegistryError, TransientError, SettingsError) as error:
            reason = f"champion {champion} was refused: {error.message}"
            if served is not None:
                return served._replace(degraded=reason)
            if record.previous_champion is None:
                raise
            fallback = self._load(project, record.previous_champion, record.previous_manifest)
            return Served(fallback, record.previous_champion, reason)

    def _rollout(self, record: AliasRecord, served: Served | None) -> Rollout | None:
        """Return the running rollout; a challenger that cannot be loaded is tried once."""
        if record.challenger is None or not record.is_rolling_out(self._clock.now()):
            return None
        known = served and served.rollout
        if known and known.model_version == record.challenger:
            return known._replace(record=record)
        predictor = None
        try:
            # A broken challenger shows in the log, and its rollout is reverted.
            with suppress(ModelError, RegistryError):
                predictor = self._load(
                    record.project, record.challenger, record.challenger_manifest
                )
        except (TransientError, SettingsError):
            return None  # the store's fault: tried again at the next refresh
        return Rollout(record, predictor)

    def _load(self, project: str, model_version: str, manifest: str | None) -> Predictor:
        try:
            return load_model_version(self._artifacts, project, model_version, manifest=manifest)
        except (ModelError, RegistryError) as error:
            self._refused(project, model_version, error.message)
            raise

    def _refused(self, project: str, model_version: str, reason: str) -> None:
        facts = {"project": project, "model_version": model_version, "reason": reason}
        self._report(MODEL_REFUSED, facts)


def _beside(champion: Predictor, rollout: Rollout) -> Rollout:
    """Return the rollout, silent if it is a probation whose log would show what is personal now.

    The champion before knew nothing of it. It stays loaded: else each refresh would load it again.
    """
    challenger = rollout.predictor
    if challenger is None or not rollout.record.has_probation:
        return rollout._replace(is_silent=False)
    return rollout._replace(is_silent=not challenger.hides_as_much_as(champion))
