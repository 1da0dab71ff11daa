"""Fixtures of the whole suite; the emulator starts once, and only if a test asks for it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.target import Target
from infra.config import ROOT
from infra.local.deploy import deploy
from infra.local.emulator import Emulator
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


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The embedded emulator on a free loopback port, with the app deployed to it."""
    running = Emulator(tmp_path_factory.mktemp("emulator"), _free_port())
    running.start()
    try:
        deploy(running, lambda _: None)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def target(emulator: Emulator) -> Target:
    """The deployed stage, as the command line sees it."""
    local = Target("local")
    local.emulator = emulator
    return local


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep unit tests off the network."""
    for item in items:
        if "tests/unit" in Path(item.path).as_posix():
            item.add_marker(pytest.mark.disable_socket)
