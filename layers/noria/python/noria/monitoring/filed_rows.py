"""The answers to the rows of a file, by column: joined with labels, and found by record id.

A million answers as lines of JSON would take longer than scoring them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from noria.evaluation.metrics import Floats
from noria.storage.ids import joined_record_id

Numbers = NDArray[np.uint64]
_BYTES = 8  # of a hash: among a billion ids two have the same one with a probability of 2.7 %


def record_number(project: str, record_id: str) -> int:
    """Return what stands for a record id in filed rows: the first 64 bits of its hash.

    Equal for an id and for what `hashed_record_id` makes of it.

    Examples
    --------
    >>> from noria.storage.ids import hashed_record_id
    >>> hashed = hashed_record_id("tickets", "INC-7")
    >>> record_number("tickets", "INC-7") == record_number("tickets", hashed)
    True
    """
    return int(joined_record_id(project, record_id)[1 : 1 + 2 * _BYTES], 16)


def record_numbers(project: str, ids: Iterable[str | None]) -> Numbers:
    """Return `record_number` of many ids; 0 where there is none."""
    salt, none = f"{project}\n".encode(), bytes(_BYTES)
    hashed = [
        none
        if not found
        else record_number(project, found).to_bytes(_BYTES)
        if found[0] == "~"
        else sha256(salt + found.encode()).digest()[:_BYTES]
        for found in ids
    ]
    return np.frombuffer(b"".join(hashed), dtype=">u8").astype(np.uint64)


class FiledJob(NamedTuple):
    """The batch job that some rows are of."""

    job_id: str
    filename: str
    model_version: str
    at: str  # when it was planned: UTC, ISO 8601
    # Its rows say something of the champion: no try, no training rows, no file for the second time.
    is_evidence: bool = False
    is_corrected: bool = False  # its probabilities, for class shares that differ from training


@dataclass(frozen=True)
class FiledRows:
    """The answers to some rows of one batch job.

    Attributes
    ----------
    job : FiledJob
    classes : tuple of str
        Empty in a regression.
    numbers : array of shape (n, n_ids)
        Of the cells of the id columns, as `record_numbers` gives them: any of them names the row.
    id_columns : tuple of str
        Their names.
    lines : array of shape (n,)
        Of the file.
    outputs : array of shape (n, n_outputs)
        Probabilities in the order of the classes, or the one value.
    decided : array of shape (n,)
        Numbers of the classes decided for; zeros in a regression.
    """

    job: FiledJob
    classes: tuple[str, ...]
    id_columns: tuple[str, ...]
    numbers: Numbers
    lines: NDArray[np.int64]
    outputs: Floats
    decided: NDArray[np.int64]

    def to_bytes(self) -> bytes:
        """Return the rows as an `.npz` file; equal rows, equal bytes."""
        out = BytesIO()
        np.savez(
            out,
            allow_pickle=False,
            job=np.array(self.job[:4]),
            flags=np.array([self.job.is_evidence, self.job.is_corrected]),
            id_columns=np.array(self.id_columns, dtype=np.str_),
            classes=np.array(self.classes, dtype=np.str_),
            numbers=self.numbers,
            lines=self.lines,
            outputs=self.outputs,
            decided=self.decided.astype(np.uint16),
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Return what `to_bytes` wrote."""
        with np.load(BytesIO(body), allow_pickle=False) as parts:
            return cls(
                FiledJob(*parts["job"].tolist(), *parts["flags"].tolist()),
                tuple(parts["classes"].tolist()),
                tuple(parts["id_columns"].tolist()),
                parts["numbers"],
                parts["lines"],
                parts["outputs"],
                parts["decided"].astype(np.int64),
            )

    def at_rows(self, rows: Any) -> Self:
        """Return some of the rows, by place or by mask."""
        return replace(
            self,
            numbers=self.numbers[rows],
            lines=self.lines[rows],
            outputs=self.outputs[rows],
            decided=self.decided[rows],
        )

    def named(self, number: int) -> Any:
        """Return a mask of the rows that a record id names, given its number."""
        return np.any(self.numbers == np.uint64(number), axis=1)

    def prediction(self, row: int) -> str | float:
        """Return the class decided for, or the value."""
        if not self.classes:
            return float(self.outputs[row, 0])
        return self.classes[int(self.decided[row])]
