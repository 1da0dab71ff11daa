"""One reading of a raw value, the same for training rows and for prediction requests."""

from collections.abc import Container
from typing import Any


def normalized(value: Any, column_type: str, missing: Container[str]) -> Any:
    """Return a value as the column reads it; None when it means "missing".

    Parameters
    ----------
    value : JSON value or CSV cell
    column_type : "text", "number" or "category"
    missing : container of str
        The spec's `dataset.missing`, compared without surrounding blanks.

    Examples
    --------
    >>> normalized(" NA ", "text", {"NA"}) is None
    True
    >>> normalized(" Cali ", "category", {"NA"})
    'Cali'
    >>> normalized(True, "category", set())
    'true'
    """
    if isinstance(value, bool) and column_type == "category":
        return str(value).lower()
    if isinstance(value, str):
        stripped = value.strip()
        if stripped in missing:
            return None
        if column_type == "category":
            return stripped
    return value
