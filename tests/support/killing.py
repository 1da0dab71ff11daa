"""Processes that die at any call of a port, and what must hold afterwards.

A process that is killed leaves what it has written and nothing of its memory. So a run is made
once, every call of its ports is noted, and the stored state after each write is kept: a death
before or after any call leaves one of these states. The run is then started again on each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from noria.ports import ArtifactIndex, ArtifactStore, ModelAliases
from tests.support.fakes import MemoryAliases, MemoryArtifacts
from tests.support.ports import methods_of

_PORTS = {"artifacts": (ArtifactStore, ArtifactIndex), "aliases": (ModelAliases,)}
WRITES = frozenset({"put", "put_stream", "apply"})
READS = frozenset({"get", "open", "exists", "under", "read", "history"})


@dataclass
class State:
    """What is stored, by port."""

    artifacts: MemoryArtifacts
    aliases: MemoryAliases

    def copied(self) -> "State":
        """Return the same content, apart."""
        return State(self.artifacts.copied(), self.aliases.copied())


@dataclass
class Cuts:
    """Where a run may die: one cut before its first call, one after each."""

    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    states: list[State] = field(default_factory=list)  # before the first write, and after each

    @property
    def n(self) -> int:
        """How many deaths the states stand for: before and after each call."""
        return 2 * (len(self.reads) + len(self.writes))


def cuts_of(state: State, run: Callable[[State], Any]) -> Cuts:
    """Run once; return every call of the ports, and what was stored after each write."""
    cuts = Cuts(states=[state.copied()])

    def noted(port: str, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            result = method(*arguments, **settings)
            what = f"{port}.{name} {arguments[0] if port == 'artifacts' else ''}".strip()
            if name in WRITES:
                cuts.writes.append(what)
                cuts.states.append(state.copied())
            else:
                cuts.reads.append(what)
            return result

        return call

    for port, protocols in _PORTS.items():
        fake = getattr(state, port)
        for name in set().union(*map(methods_of, protocols)):
            if name not in WRITES | READS:
                raise TypeError(f"{port}.{name}: does it read or write? say so here")
            setattr(fake, name, noted(port, name, getattr(fake, name)))
    run(state)
    return cuts


def faults_after(
    cuts: Cuts,
    again: Callable[[State], Any],
    holds: Callable[[State, Any], None],
    *,
    last: int | None = None,
) -> dict[str, str]:
    """Start the run again on every state; return what does not hold, by the write before it.

    Parameters
    ----------
    again : callable
        The run, started again on what a death has left.
    holds : callable
        Raises for a state and what `again` returned, or None for a state just after the death.
    last : int
        How many states to look at, from the last one back: a control knows where it breaks.
    """
    faults: dict[str, str] = {}
    for number, state in [*enumerate(cuts.states)][-(last or len(cuts.states)) :]:
        place = f"{number} {cuts.writes[number - 1] if number else 'before the first write'}"
        try:
            left = state.copied()
            holds(left, None)
            holds(left, again(left))
        except Exception as error:  # noqa: BLE001 - whatever breaks is a fault of the run
            faults[place] = repr(error)
    return faults
