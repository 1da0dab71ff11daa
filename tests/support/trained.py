"""The smallest real serving bundle: one number in, one linear value out."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from noria.bundle.format import pack

COLUMN = {
    "type": "number", "required": True, "min": 0.0, "max": 10.0, "max_length": 1, "pii": True,
    "seen": [1.0, 9.0],
}  # fmt: skip


def tiny_bundle(
    numbers: Mapping[str, Sequence[float]] | None = None, **changes: Any
) -> Mapping[str, bytes]:
    """Return a bundle that answers 2 x + 1.

    Parameters
    ----------
    numbers : mapping
        Other coefficients and intercepts, for as many outputs.
    **changes
        Replace parts of its description.
    """
    view: dict[str, Any] = {
        "name": "n", "kind": "numeric", "columns": ["x"], "by": None, "groups": {},
        "fill": [0.0], "center": [0.0], "scale": [1.0],
    }  # fmt: skip
    description = {
        "project": "p",
        "task": "regression",
        "classes": [],
        "columns": {"x": COLUMN},
        "missing": ["", "NA"],
        "algorithm": "linear_regression",
        "feature_view": {"derived": {}, "blocks": [view]},
        "model": {"form": "linear", "link": "identity", "n_outputs": 1},
        "precision": "float64",
        "decision_weights": [],
        "postprocess": None,
        "reference": {"x": 5.0},
        "watched": {},
    }
    numbers = numbers or {"coefficients": [2.0], "intercepts": [1.0]}
    arrays = {name: array("d", values) for name, values in numbers.items()}
    return pack({**description, **changes}, arrays)
