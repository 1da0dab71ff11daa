"""The stage that these tests run on."""

from collections.abc import Iterator

import pytest

from cli.target import Target
from tests.support.stages import deployed_stage


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A stage of the module's own: no module finds the champions of another."""
    with deployed_stage(tmp_path_factory.mktemp("emulator")) as stage:
        yield stage
