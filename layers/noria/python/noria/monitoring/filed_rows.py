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
from noria.storage.ids import is_hashed, joined_record_id

Numbers = NDArray[np.uint64]
_BYTES = 8  # of a hash: among a billion ids two have the same one with a probability of 2.7 %
_LONGEST = 400  # bytes that are mixed word by word; a longer cell is no usual id
# Constants of SplitMix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number
# generators", OOPSLA 2014. Each step is one-to-one, so short ids of one length never collide.
_GAMMA, _FIRST, _SECOND = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_SHIFTS = tuple(np.uint64(bits) for bits in (30, 27, 31))


def record_number(record_id: str) -> int:
    """Return what stands for a record id in filed rows: 64 bits of its hash, never 0.

    Parameters
    ----------
    record_id : str
        As the log has it: one that is personal is hashed already.

    Examples
    --------
    >>> record_number("INC-7") == int(cell_numbers(["INC-7"])[0])
    True
    """
    if is_hashed(record_id):
        return int(record_id[1 : 1 + 2 * _BYTES], 16) or 1
    return int(cell_numbers([record_id])[0])


def numbers_of(project: str, record_id: str) -> set[int]:
    """Return all that may stand for a record id: itself, and its hash where ids are personal.

    Notes
    -----
    A project may have begun to hash its ids since: its rows of before are found by the id itself,
    not by its hash.
    """
    mixed = int(cell_numbers([record_id])[0])  # also of one that only looks like a hash
    return {mixed, record_number(joined_record_id(project, record_id))}


def private_numbers(project: str, ids: Iterable[str | None]) -> Numbers:
    """Return `record_number` of the hashes of personal ids; 0 where there is none."""
    salt, none, least = f"{project}\n".encode(), bytes(_BYTES), (1).to_bytes(_BYTES)
    hashed = [
        none
        if not found
        else record_number(found).to_bytes(_BYTES)
        if is_hashed(found)
        else max(sha256(salt + found.encode()).digest()[:_BYTES], least)
        for found in ids
    ]
    return np.frombuffer(b"".join(hashed), dtype=">u8").astype(np.uint64)


def cell_numbers(ids: Iterable[str | None]) -> Numbers:
    """Return the numbers of ids that are not personal; 0 where there is none."""
    cells = [(cell or "").encode() for cell in ids]
    offsets = np.cumsum([0, *map(len, cells)], dtype=np.int64)
    return text_numbers(np.frombuffer(b"".join(cells), dtype=np.uint8), offsets)


def text_numbers(octets: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Numbers:
    """Return `cell_numbers` of texts that stand one after the other, as Arrow keeps a column.

    Parameters
    ----------
    octets : array of shape (n_bytes,)
        UTF-8.
    offsets : array of shape (n + 1,)
        Where each text begins, and where the last one ends.

    Notes
    -----
    Eight bytes of all texts are mixed at once: a tenth of the time that a SHA-256 an id takes.
    """
    starts, sizes = offsets[:-1], np.diff(offsets)
    padded = np.concatenate((octets, np.zeros(_BYTES, dtype=np.uint8)))
    words_at = np.ndarray((len(octets) + 1,), dtype="<u8", buffer=padded, strides=(1,))
    numbers = sizes.astype(np.uint64)
    for place in range(0, min(int(sizes.max(initial=0)), _LONGEST), _BYTES):
        left = sizes - place
        rows = slice(None) if left.min() > 0 else np.flatnonzero(left > 0)
        words = words_at[starts[rows] + place]
        cut = 8 * (_BYTES - np.minimum(left[rows], _BYTES))  # what stands behind the text
        numbers[rows] = _mixed(numbers[rows] ^ (words << cut.astype(np.uint64)))
    for row in np.flatnonzero(sizes > _LONGEST).tolist():
        text = octets[starts[row] : starts[row] + sizes[row]].tobytes()
        numbers[row] = int.from_bytes(sha256(text).digest()[:_BYTES])
    numbers[(numbers == 0) & (sizes > 0)] = 1
    return numbers


def _mixed(numbers: Numbers) -> Numbers:
    """Return each number with its bits mixed: the step of SplitMix64."""
    with np.errstate(over="ignore"):
        numbers = numbers + _GAMMA
        numbers = (numbers ^ (numbers >> _SHIFTS[0])) * _FIRST
        numbers = (numbers ^ (numbers >> _SHIFTS[1])) * _SECOND
    return numbers ^ (numbers >> _SHIFTS[2])


class FiledJob(NamedTuple):
    """The batch job that some rows are of."""

    job_id: str
    filename: str
    model_version: str
    at: str  # when it was planned: UTC, ISO 8601
    # Its rows say something of the champion: no try, no training rows, no file for the second time.
    is_evidence: bool = False
    is_corrected: bool = False  # its probabilities, for class shares that differ from training
    is_whole: bool = False  # decided together, as the best share of the batch
    is_shadow: bool = False  # by the champion before, beside one on probation; not published


@dataclass(frozen=True)
class FiledRows:
    """The answers to some rows of one batch job.

    Attributes
    ----------
    job : FiledJob
    classes : tuple of str
        Empty in a regression.
    numbers : array of shape (n, n_ids)
        `record_number` of the cells of the id columns, 0 where there is none: any names the row.
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
            flags=np.array(self.job[4:]),
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

    def named(self, numbers: Iterable[int]) -> Any:
        """Return a mask of the rows that have one of the numbers of record ids."""
        wanted = np.fromiter(numbers, dtype=np.uint64)
        return np.any(np.isin(self.numbers, wanted), axis=1)

    def prediction(self, row: int) -> str | float:
        """Return the class decided for, or the value."""
        if not self.classes:
            return float(self.outputs[row, 0])
        return self.classes[int(self.decided[row])]
