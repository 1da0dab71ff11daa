"""A project in memory that is trained and served, and one that was trained once for all tests."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from noria.ports import PackageRegistry
from noria.spec.model import ProjectSpec
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.pipeline import Run, run_training
from tests.support.rows import ticket_csv
from tests.support.specs import quick_tickets


class World:
    """Store, aliases and clock of the quick tickets project.

    Parameters
    ----------
    n_candidates : int
        Of the spec's two, in its order.
    """

    def __init__(self, n_candidates: int = 2) -> None:
        self.artifacts, self.aliases = MemoryArtifacts(), MemoryAliases()
        self.clock, spec = SteppingClock(), quick_tickets()
        self.spec = spec.model_copy(update={"candidates": spec.candidates[:n_candidates]})

    def train(
        self,
        run_id: str = "run",
        body: bytes | None = None,
        packages: PackageRegistry | None = None,
        **settings: Any,
    ) -> Run:
        """Train on sample tickets, or on the file given; all steps from file to promotion."""
        key = f"inbox/{run_id}.csv"
        self.artifacts.objects[key] = (
            ticket_csv(**{"n_rows": 300, **settings}) if body is None else body
        )
        return run_training(
            self.spec, key, run_id,
            artifacts=self.artifacts, aliases=self.aliases, clock=self.clock, packages=packages,
        )  # fmt: skip

    def versions(self) -> set[str]:
        """Return the registered model versions: those with a manifest."""
        keys = [key for key in self.artifacts.objects if key.startswith("models/")]
        return {key.split("/")[2] for key in keys if key.endswith("manifest.json")}

    def copied(self) -> "World":
        """Return the same project, apart."""
        made = World()
        made.artifacts, made.aliases = self.artifacts.copied(), self.aliases.copied()
        made.spec = self.spec
        return made


def trained(n_candidates: int = 1) -> tuple[World, Run]:
    """Return a project after its first run, "run", on 300 tickets; trained once, then copied."""
    world, run = _trained(n_candidates)
    return world.copied(), run


@lru_cache
def _trained(n_candidates: int) -> tuple[World, Run]:
    world = World(n_candidates)
    return world, world.train()


def changed(spec: ProjectSpec, path: Sequence[str], value: Any) -> ProjectSpec:
    """Return the spec with one field of one of its tables set."""
    table, field = path
    section = getattr(spec, table).model_copy(update={field: value})
    return spec.model_copy(update={table: section})
