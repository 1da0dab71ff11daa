"""One reading of a label: of the target in training rows, and of labels that come later.

Standard library only: predict reads labels with it.
"""

import re
from collections.abc import Container, Sequence
from math import isfinite
from typing import Any

from noria.data.values import as_number, kind_of
from noria.records.bundle import TargetContract
from noria.storage.hashing import canonical_json

# What shows nothing, or turns what stands beside it: control characters, line and paragraph
# separators, soft hyphens, spaces of no width, marks of writing direction.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]"
)
_SHOWN = 20  # classes that a reason names
_LONGEST_BITS = 1024  # of an integer that a double can hold


class TargetReader:
    """Reads raw labels as a project's training did.

    Parameters
    ----------
    task : "classification" or "regression"
    contract : TargetContract
        Mapping, words for "no label yet", range.
    missing : container of str
        The spec's `dataset.missing`.
    classes : sequence of str
        Allowed classes; empty = any.
    """

    def __init__(
        self,
        task: str,
        contract: TargetContract,
        *,
        missing: Container[str],
        classes: Sequence[str] = (),
    ) -> None:
        self._task, self._contract, self._missing = task, contract, missing
        self._classes = frozenset(classes)
        self._mapped = frozenset(contract.map.values())

    def read(self, cell: Any) -> tuple[Any, str | None]:
        """Return (class or value, None), (None, reason), or (None, None) for "no label yet"."""
        if isinstance(cell, bool | dict | list):
            return None, f"must be a label or a number, got {kind_of(cell)}"
        label = cell.strip() if isinstance(cell, str) else cell
        if isinstance(label, str) and _UNSEEN.search(label):
            return None, "must not hold control characters"
        if label is None or label in self._missing or label in self._contract.unlabelled:
            return None, None
        if isinstance(label, float) and not isfinite(label):
            return None, "must be a finite number"
        if isinstance(label, int) and label.bit_length() > _LONGEST_BITS:
            return None, "must be a finite number"
        if self._task == "regression":
            return as_number(label, self._contract.min, self._contract.max)
        return self._class_of(label if isinstance(label, str) else canonical_json(label).decode())

    def _class_of(self, label: str) -> tuple[str | None, str | None]:
        mapping = self._contract.map
        if mapping:
            label = mapping.get(label) or mapping.get(_plain_number(label), label)
            if label not in self._mapped:
                return None, "target.map has no class for this label"
        if self._classes and label not in self._classes:
            names = sorted(self._classes)
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            return None, f"unknown label; allowed: {', '.join(names[:_SHOWN])}{more}"
        return label, None


def _plain_number(label: str) -> str:
    """Return "5" for "5.0"; anything but a number as it is."""
    try:
        return f"{float(label):g}"
    except ValueError:
        return label
