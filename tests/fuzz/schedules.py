"""The registry's protocol under any schedule: trainings, rollouts and people at once, with faults.

Every transition is a real function. A scheduler runs other actors at each call of a port; calls
die before or after they happened, answers are lost, tasks run twice, and a task that its state
gave up may commit later.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

from noria.errors import AliasConflictError, StoreUnavailableError
from noria.ports import ModelAliases
from noria.promotion.by_hand import ByHand, promotion_of
from noria.records.alias import AliasChange, AliasRecord, HistoryEntry, Promotion, PromotionKind
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from noria.spec.loader import parse_spec
from noria.spec.model import ProjectSpec
from noria.spec.operations import RolloutStep
from noria.steps.advance_rollout import AdvanceRolloutRequest, advance_rollout
from noria.steps.end_probation import EndProbationRequest, end_probation
from noria.steps.promote_challenger import PromoteChallengerRequest, promote_challenger
from noria.steps.revert_rollout import RevertRolloutRequest, revert_rollout
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts
from tests.support.jobs import SPEC
from tests.support.trained import tiny_bundle

_VERSIONS = tuple(f"v{n}" for n in range(6))
_STEPS = (
    RolloutStep(mode="shadow", fraction=1.0, bake_minutes=1),
    RolloutStep(mode="canary", fraction=0.5, bake_minutes=1),
)
_CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
_ATTEMPTS, _REVERTS = 3, 9  # of a task; of RevertRollout
_BY_HAND: tuple[PromotionKind, ...] = ("manual", "rollback")
Actor = Iterator[None]


class _DiedError(Exception):
    """The process of a task is gone."""


@dataclass
class Tally:
    """What happened in all schedules."""

    n: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)


def run(n: int, seed: int, aliases: Callable[[], ModelAliases] = MemoryAliases) -> Tally:
    """Play `n` schedules of two to four actors each.

    Parameters
    ----------
    aliases : callable
        Makes the registry; for controls, a broken one.

    Raises
    ------
    AssertionError
        What must hold after each change, or at the end, does not; the message has the seed.
    """
    tally = Tally()
    for number in range(n):
        schedule = _Schedule(Random(f"{seed}-{number}"), aliases(), tally)
        try:
            schedule.play()
        except AssertionError as error:
            raise AssertionError(f"schedule {number} of seed {seed}: {error}") from error
        tally.n += 1
    return tally


class _Schedule:
    """One world, its actors, and who goes next."""

    def __init__(self, rng: Random, aliases: ModelAliases, tally: Tally) -> None:
        self.rng, self.aliases, self.tally = rng, aliases, tally
        self.ports = _FaultyAliases(self)
        self.late: list[Callable[[], object]] = []  # tasks that were given up and still run
        self.depth = 0
        self.actors: list[Actor] = []
        for number in range(rng.choice([2, 3, 4])):
            kind = rng.choice(
                [self._training, self._rollout, self._rollout, self._person, self._check]
            )
            # Each run has its version; people may take any.
            version = rng.choice(_VERSIONS) if kind == self._person else _VERSIONS[number + 1]
            self.actors.append(kind(f"actor{number}", version))

    def play(self) -> None:
        first = Promotion("p", "first", "v0", 0, "manual", "t", "t", "2026-01-01T00:00:00+00:00")
        self.aliases.apply(first)
        while self.actors or self.late:
            self.step()
        record = self.aliases.read("p")
        is_watched = record.challenger in (None, record.previous_champion)  # on probation
        assert is_watched, f"{record.challenger} is watched by nobody: {record}"

    def step(self) -> None:
        """Let one actor do its next task, or a task that was given up commit."""
        if self.late and (not self.actors or self.rng.random() < 0.3):
            task = self.late.pop(self.rng.randrange(len(self.late)))
            self.tally.faults["late"] += 1
            with suppress(AliasConflictError, StoreUnavailableError, _DiedError):
                task()
            return
        if not self.actors:
            return
        actor = self.rng.choice(self.actors)
        self.actors.remove(actor)  # a running one is not resumed from within itself
        try:
            next(actor)
        except StopIteration:
            return
        self.actors.append(actor)

    def others(self) -> None:
        """Let others do something between two calls of a task."""
        if self.depth < 2 and self.rng.random() < 0.3:
            self.depth += 1
            try:
                self.step()
            finally:
                self.depth -= 1

    def task[R](self, do: Callable[[], R], *, retried: tuple[type[Exception], ...] = ()) -> R:
        """Run a step as a state does: again when it dies or the store fails; it may run twice."""
        caught: tuple[type[Exception], ...] = (StoreUnavailableError, _DiedError, *retried)
        for attempt in range(_REVERTS if retried else _ATTEMPTS):
            try:
                result = do()
                if self.rng.random() < 0.05:
                    self.tally.faults["twice"] += 1
                    result = do()
                return result
            except caught as error:
                if attempt == (_REVERTS if retried else _ATTEMPTS) - 1:
                    raise
                if isinstance(error, _DiedError) and self.rng.random() < 0.2 and not retried:
                    self.tally.faults["given up"] += 1
                    self.late.append(do)
                    raise
        raise AssertionError("no attempt")

    def _promote(self, run_id: str, version: str, revision: int) -> Any:
        request = PromoteChallengerRequest("p", run_id, version, revision, "better")
        return promote_challenger(
            request, spec=_SPEC, artifacts=_STORE, aliases=self.ports, clock=_CLOCK
        )

    def _training(self, run_id: str, version: str) -> Actor:
        """A run without a rollout: evaluate, then promote."""
        seen = self.aliases.read("p").revision
        yield
        try:
            self.task(partial(self._promote, run_id, version, seen))
        except AliasConflictError:
            self.tally.ends["training kept"] += 1
            return
        except (StoreUnavailableError, _DiedError):
            self.tally.ends["training failed"] += 1
            return
        self._told_promoted(version, seen + 1)
        self.tally.ends["training promoted"] += 1

    def _rollout(self, run_id: str, version: str) -> Actor:
        """`rollout.asl.json`: steps, checks, promotion; taken back on a breach or a fault."""
        revision = self.aliases.read("p").revision
        yield
        try:
            for step in range(len(_STEPS) + 1):
                request = AdvanceRolloutRequest("p", run_id, version, step, revision)
                advance = partial(
                    advance_rollout,
                    request, spec=_SPEC, artifacts=_STORE, aliases=self.ports, clock=_CLOCK,
                )  # fmt: skip
                advanced = self.task(advance)
                revision = advanced.revision
                if advanced.is_finished:
                    break
                yield
                if self.rng.random() < 0.15:
                    yield from self._taken_back(run_id, version, revision, "reverted")
                    return
            yield
            self.task(partial(self._promote, run_id, version, revision))
        except AliasConflictError:
            self.tally.ends["rollout superseded"] += 1
            return
        except (StoreUnavailableError, _DiedError):
            yield from self._taken_back(run_id, version, revision, "failed")
            return
        self.tally.ends["rollout promoted"] += 1

    def _taken_back(self, run_id: str, version: str, revision: int, end: str) -> Actor:
        yield
        request = RevertRolloutRequest("p", run_id, version, "because", revision)
        do = partial(revert_rollout, request, aliases=self.ports, clock=_CLOCK)
        while True:  # an execution that fails here is redriven
            with suppress(StoreUnavailableError, _DiedError, AliasConflictError):
                reverted = self.task(do, retried=(AliasConflictError,))
                break
            yield
        if reverted.champion == version:  # ConfirmPromotion
            end = "promoted"
        self.tally.ends[f"rollout {end}"] += 1

    def _person(self, _: str, version: str) -> Actor:
        """`noria promote` or `noria rollback`."""
        seen = self.aliases.read("p")
        yield
        kind = self.rng.choice(_BY_HAND)
        to = seen.previous_champion if kind == "rollback" else version
        if to is None:
            return
        by = ByHand("a person", "because")
        change = promotion_of(seen, to, kind, by, artifacts=_STORE, clock=_CLOCK)
        try:
            self.ports.apply(change)
        except (AliasConflictError, StoreUnavailableError, _DiedError):
            self.tally.ends["person refused"] += 1
            return
        self.tally.ends["person promoted"] += 1

    def _check(self, check_id: str, _: str) -> Actor:
        """`monitoring.asl.json`: the champion turns out to be worse than the one before."""
        yield
        record = self.aliases.read("p")
        version, previous = str(record.champion), str(record.previous_champion)
        yield
        request = EndProbationRequest("p", check_id, version, previous, "because")
        do = partial(end_probation, request, artifacts=_STORE, aliases=self.ports, clock=_CLOCK)
        try:
            ended = self.task(do, retried=(AliasConflictError,))
        except (AliasConflictError, StoreUnavailableError, _DiedError):
            self.tally.ends["check failed"] += 1
            return
        if ended.was_taken_back:  # by this check, or by a person who did the same
            assert ended.champion == previous, ended
        changes = self.aliases.history("p", limit=100)
        mine = [e for e in changes if e.promotion_id.startswith(f"probation-{version}-")]
        assert all((e.replaced, e.model_version) == (version, previous) for e in mine[:1]), mine
        self.tally.ends["check took back" if ended.was_taken_back else "check left"] += 1

    def _told_promoted(self, version: str, revision: int) -> None:
        entry = next(e for e in self.aliases.history("p", limit=100) if e.revision == revision)
        assert entry.model_version == version, f"told of {version}, written was {entry}"


class _FaultyAliases:
    """`ModelAliases` whose calls are interrupted, die and lose their answers; it checks each."""

    def __init__(self, schedule: _Schedule) -> None:
        self._schedule = schedule

    def read(self, project: str) -> AliasRecord:
        """Return the record, which may be old when it is used."""
        self._interrupted("read")
        record = self._schedule.aliases.read(project)
        self._schedule.others()
        return record

    def apply(self, change: AliasChange) -> AliasRecord:
        """Change the record, or not, or without saying so."""
        schedule = self._schedule
        self._interrupted("apply")
        before = schedule.aliases.read("p")
        after = schedule.aliases.apply(change)
        if after.revision != before.revision:
            schedule.tally.changes[change.kind] += 1
            self._must_hold(before, after, change)
        if schedule.rng.random() < 0.08:
            schedule.tally.faults["answer lost"] += 1
            raise schedule.rng.choice([StoreUnavailableError("lost"), _DiedError("after")])
        return after

    def history(self, project: str, *, limit: int = 20) -> Any:
        """Return the history as it is."""
        return self._schedule.aliases.history(project, limit=limit)

    def _interrupted(self, what: str) -> None:
        self._schedule.others()
        if self._schedule.rng.random() < 0.06:
            self._schedule.tally.faults[f"died before {what}"] += 1
            raise _DiedError("before")

    def _must_hold(self, before: AliasRecord, after: AliasRecord, change: AliasChange) -> None:
        history: list[HistoryEntry] = [*self._schedule.aliases.history("p", limit=100)]
        assert change.expected_revision == before.revision, (
            f"decided on {change.expected_revision}, written on {before.revision}: {change}"
        )
        assert [e.revision for e in reversed(history)] == [*range(1, after.revision + 1)]
        ids = [entry.promotion_id for entry in history]
        assert len(ids) == len(set(ids)), f"written twice: {ids}"
        assert history[0].replaced == before.champion
        assert after.champion in _VERSIONS
        assert after.previous_champion != after.champion, after


def _store() -> MemoryArtifacts:
    store = MemoryArtifacts()
    for version in _VERSIONS:
        write_version(store, "p", version, tiny_bundle(), VersionFacts())
    return store


def _spec() -> ProjectSpec:
    spec = parse_spec(SPEC, source="p.toml")
    rollout = spec.rollout.model_copy(update={"steps": _STEPS, "probation_hours": 24.0})
    return spec.model_copy(update={"rollout": rollout})


_STORE, _SPEC = _store(), _spec()
