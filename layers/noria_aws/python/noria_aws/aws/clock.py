"""The `Clock` port: the machine's, or, on the embedded emulator, one that `noria simulate` sets."""

from datetime import UTC, datetime

from noria.ports import Clock
from noria_aws.aws.settings import CLOCK_FILE, optional_setting


class SystemClock:
    """Tells the time in UTC."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)


class FileClock:
    """Tells the time a file holds; the machine's while there is no such file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def now(self) -> datetime:
        """Return the file's time, ISO 8601 with its zone."""
        try:
            with open(self._path, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib costs 8 ms
                return datetime.fromisoformat(stream.read().strip()).astimezone(UTC)
        except FileNotFoundError:
            return datetime.now(UTC)


def deployed_clock() -> Clock:
    """Return the clock of this deployment; only the embedded emulator's reads a file."""
    path = optional_setting(CLOCK_FILE)
    return FileClock(path) if path else SystemClock()
