"""A small record of a project that changes, as it is stored: its body and its revision."""

from typing import NamedTuple


class StateRecord(NamedTuple):
    """What a project's state holds under a name now."""

    body: bytes | None  # None: it was never written
    revision: int  # counts writes; 0 = never written
