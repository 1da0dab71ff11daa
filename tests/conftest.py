"""Fixtures of the whole suite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.target import Target
from infra.config import ROOT
from noria.spec.loader import load_project
from noria.spec.model import ProjectSpec
from tests.support.stages import deployed_stage, emptied

_SLOW_FIRST = {
    name: n for n, name in enumerate(("integration", "contract", "training", "fuzz", "benchmarks"))
}
# Of those that need a deployed stage, two workers share the modules, so that two stages suffice.
_ON_THE_SECOND_STAGE = {"test_batch", "test_backends", "test_wheel", "test_rights"}
# Contracts that an adapter keeps on the stage and a fake without one.
_ASK_FOR_A_STAGE = {
    "test_artifact_store",
    "test_claims",
    "test_project_state",
    "test_model_aliases",
}
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


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups after it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep unit tests off the network; start what takes longest first; keep a file together."""
    for item in items:
        group = str(item.path)  # its tests share what takes long to make
        if "stage" in getattr(item, "fixturenames", ()) or item.path.stem in _ASK_FOR_A_STAGE:
            group = f"stage {1 + (item.path.stem in _ON_THE_SECOND_STAGE)}"
        item.add_marker(pytest.mark.xdist_group(group))
        if Path(item.path).is_relative_to(ROOT / "tests" / "unit"):
            item.add_marker(pytest.mark.disable_socket)
    items.sort(key=lambda item: _SLOW_FIRST.get(item.path.parent.name, len(_SLOW_FIRST)))
