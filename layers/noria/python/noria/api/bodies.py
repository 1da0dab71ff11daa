"""Bodies of requests and answers: JSON objects, and what is wrong with one, by field."""

from collections.abc import Mapping
from typing import Any

from noria.errors import InvalidInputError

Given = Mapping[str, Any]  # of a request
Shown = dict[str, Any]  # of an answer


def invalid(field: str, reason: str) -> InvalidInputError:
    """Return the error of a request with one wrong field."""
    return InvalidInputError(
        f"the request cannot be read: {field}: {reason}",
        errors=[{"field": field, "reason": reason}],
    )
