"""What a patch asserts of the MiniStack it replaces a part of."""

import inspect
from collections.abc import Callable
from typing import Any


def require(is_as_expected: bool, what: str) -> None:
    """Raise RuntimeError where a part of MiniStack is not what a patch replaces."""
    if not is_as_expected:
        raise RuntimeError(f"MiniStack has changed: {what} is not what the patch replaces")


def require_parameters(function: Callable[..., Any], names: list[str]) -> None:
    """Raise RuntimeError where a function's parameters are others than a patch expects."""
    found = list(inspect.signature(function).parameters)
    require(found == names, f"the parameters of {function.__name__} ({found})")
