"""A stage for tests: the app deployed on an embedded emulator of its own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.target import Target
from infra.local.deploy import deploy
from infra.local.emulator import Emulator


@contextmanager
def deployed_stage(folder: Path) -> Iterator[Target]:
    """Yield a local stage on a free loopback port; it takes some twenty seconds to deploy."""
    target = Target("local")
    target.emulator = Emulator(folder, _free_port())
    target.emulator.start()
    try:
        deploy(target.emulator, lambda _: None)
        yield target
    finally:
        target.emulator.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
