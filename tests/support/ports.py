"""Fakes held to their ports: a port that changes makes every fake of it fail when it is imported."""

import inspect
from collections.abc import Callable


def methods_of(port: type) -> set[str]:
    """Return the names of a protocol's methods."""
    return {name for name in dir(port) if not name.startswith("_")}


def implements[T: type](*ports: type) -> Callable[[T], T]:
    """Check a fake against its ports when its class is made.

    Each method of a port must be there, with the port's parameters under their own names: what a
    port renames or adds is missed by a fake that overrides the old one, and by no test.
    """

    def check(fake: T) -> T:
        for port in ports:
            for name in methods_of(port):
                theirs = inspect.signature(getattr(port, name)).parameters
                method = getattr(fake, name, None)
                if method is None:
                    raise TypeError(f"{fake.__name__} lacks {port.__name__}.{name}")
                ours = inspect.signature(method).parameters
                if list(ours) != list(theirs):
                    raise TypeError(
                        f"{fake.__name__}.{name} takes {list(ours)}, {port.__name__} has {list(theirs)}"
                    )
        return fake

    return check
