"""Fixtures of the whole suite."""

from pathlib import Path

import pytest

from infra.config import ROOT
from noria.spec.loader import load_project
from noria.spec.model import ProjectSpec

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep unit tests off the network."""
    for item in items:
        if "tests/unit" in Path(item.path).as_posix():
            item.add_marker(pytest.mark.disable_socket)
