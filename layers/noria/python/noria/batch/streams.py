"""Byte strings, one after another, as one stream."""

from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO


class _Joined(RawIOBase):
    """Byte strings, one after another, as a stream; one of them is in memory."""

    def __init__(self, bodies: Iterator[bytes]) -> None:
        self._bodies, self._left = bodies, memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        while not self._left:
            body = next(self._bodies, None)
            if body is None:
                return 0
            self._left = memoryview(body)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def joined(bodies: Iterator[bytes]) -> BinaryIO:
    """Return byte strings as one stream that holds one of them at a time."""
    return BufferedReader(_Joined(bodies), 1 << 20)
