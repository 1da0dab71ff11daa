"""Fixtures of the whole suite."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.target import Target
from infra.names import ROOT
from noria.spec.loader import load_project
from noria.spec.model import ProjectSpec
from tests.support.stages import deployed_stage, emptied

# Folders of `tests` whose files take longest; many small ones at the end keep all workers busy.
_SLOW_FIRST = ("integration", "benchmarks", "contract", "training", "infra", "fuzz")
PROJECTS = ROOT / "layers" / "projects" / "python" / "projects"


@pytest.fixture
def tickets() -> ProjectSpec:
    """The spec of the tickets project."""
    return load_project("tickets", PROJECTS)


@pytest.fixture
def housing() -> ProjectSpec:
    """The spec of the housing project."""
    return load_project("housing", PROJECTS)


@pytest.fixture
def messages() -> ProjectSpec:
    """The spec of the messages project."""
    return load_project("messages", PROJECTS)


@pytest.fixture
def customers() -> ProjectSpec:
    """The spec of the customers project."""
    return load_project("customers", PROJECTS)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One deployed stage for all modules that a worker runs."""
    with deployed_stage(tmp_path_factory.mktemp("emulator")) as deployed:
        yield deployed


@pytest.fixture(scope="module")
def target(stage: Target) -> Target:
    """The stage, emptied: no module finds the champions of another."""
    return emptied(stage)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep unit tests off the network; start what takes longest first."""
    for item in items:
        if Path(item.path).is_relative_to(ROOT / "tests" / "unit"):
            item.add_marker(pytest.mark.disable_socket)
    places = {name: place for place, name in enumerate(_SLOW_FIRST)}
    items.sort(key=lambda item: places.get(_folder(item), len(places)))


def _folder(item: pytest.Item) -> str:
    return Path(item.path).relative_to(ROOT / "tests").parts[0]


def pytest_collection_finish() -> None:
    """Collect garbage seldom: what is imported stays, and looking through it takes a fifth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
