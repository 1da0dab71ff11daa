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


def workers_of(folder: Path, step: str) -> list[int]:
    """Return the emulator's Lambda processes of one step."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode("utf-8", "replace").lower()
        except OSError:
            continue
        if str(folder).lower() in command and step.replace("_", "") in command:
            found.append(int(path.parent.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
