"""Fixtures of the whole suite."""

from pathlib import Path

import pytest

from infra.config import ROOT
from noria.spec.loader import load_project
from noria.spec.model import ProjectSpec

_SLOW_FIRST = {
    name: n for n, name in enumerate(("integration", "contract", "training", "benchmarks"))
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


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep unit tests off the network; start what takes longest first, a module on one worker."""
    for item in items:
        place = Path(item.path).relative_to(ROOT).as_posix()
        if place.startswith("tests/unit"):
            item.add_marker(pytest.mark.disable_socket)
        # Contracts share one deployed stage.
        group = "contract" if place.startswith("tests/contract/test_") else place
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: _SLOW_FIRST.get(item.path.parent.name, len(_SLOW_FIRST)))
