"""The stage that these tests run on."""

from collections.abc import Iterator

import pytest

from cli.target import Target
from tests.support.stages import deployed_stage


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One stage for all contracts: each test uses projects of its own."""
    with deployed_stage(tmp_path_factory.mktemp("emulator")) as stage:
        yield stage
