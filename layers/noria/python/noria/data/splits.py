"""Which rows train and which are held out; folds of the training rows.

Assignment depends on a row's content, not on its place in the file, so adding rows leaves the
old ones (nearly) where they were and a champion's training rows do not drift into a test set.
Folds respect time where the split does.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from noria.data.validation import TARGET, TIME
from noria.records.prediction import Row
from noria.spec.model import SplitSection
from noria.storage.hashing import canonical_json, sha256_hex

_SPAN = float(1 << 64)


@dataclass(frozen=True)
class History:
    """Which rows, in time order, train and which judge; those before them are left out."""

    n_left_out: int  # the oldest
    n_test: int  # the newest
    n_since_change: int | None = None  # the newest, since the champion's errors changed


def input_hash(row: Row, columns: Sequence[str]) -> str:
    """Return 64 bits of the hash of a row's inputs; equal inputs have equal hashes."""
    return sha256_hex(canonical_json({name: row[name] for name in columns}))[:16]


def in_time_order(rows: Sequence[Row]) -> list[Row]:
    """Return rows by their time; those without one come so (`dataset.in_time_order`)."""
    return sorted(rows, key=lambda row: row.get(TIME, ""))


def split_rows(
    rows: Sequence[Row], columns: Sequence[str], split: SplitSection
) -> tuple[list[Row], list[Row]]:
    """Return (training rows, test rows), each in its original order, time order for "time".

    "random" puts a row in the test set when its hash falls below the fraction; "stratified"
    takes the rows with the smallest hashes of each class; "time" takes the latest rows.
    Rows with equal inputs always land on the same side, except under "time".
    """
    if split.kind == "time":
        ordered = in_time_order(rows)
        cut = len(ordered) - round(len(ordered) * split.test_fraction)
        return ordered[:cut], ordered[cut:]
    places = [_place(input_hash(row, columns), f"split:{split.seed}") for row in rows]
    if split.kind == "random":
        held_out = {i for i, place in enumerate(places) if place < split.test_fraction}
    else:
        held_out = _stratified(rows, places, split.test_fraction)
    train = [row for i, row in enumerate(rows) if i not in held_out]
    return train, [rows[i] for i in sorted(held_out)]


def unseen_rows(
    rows: Sequence[Row], seen: Sequence[Row], columns: Sequence[str], split: SplitSection
) -> list[Row]:
    """Return the rows that are new to a model, in their order.

    Parameters
    ----------
    rows : sequence of rows
        In time order under "time".
    seen : sequence of rows
        What the model was trained on.

    Notes
    -----
    Under "time" those after the newest row that it was trained on. Later rows may look the same
    as such a row: where the last 1 of 100 lie scattered, they do not count. Else those with other
    inputs.
    """
    if split.kind != "time":
        known = {input_hash({name: row.get(name) for name in columns}, columns) for row in seen}
        return [row for row in rows if input_hash(row, columns) not in known]
    if not rows or not seen:
        return list(rows)
    both = sorted({*rows[0]} & {*seen[0]})
    left = Counter(input_hash(row, both) for row in seen)
    places = []
    for place, row in enumerate(rows):
        key = input_hash(row, both)
        if left[key] > 0:
            left[key] -= 1
            places.append(place)
    if not places:
        return list(rows)
    sure = int(0.99 * (len(places) - 1))
    n_last = len(places) - 1 - sure
    is_dense = places[-1] - places[sure] <= 2 * n_last
    return list(rows[(places[-1] if is_dense else places[sure]) + 1 :])


def fold_indices(
    rows: Sequence[Row], columns: Sequence[str], split: SplitSection, n_folds: int
) -> list[tuple[list[int], list[int]]]:
    """Return (fit, score) index pairs over the training rows.

    Under "time" fold k fits on everything before its block and scores on the block after it
    (forward chaining); else rows are dealt by hash within each class, equal inputs together.
    """
    if split.kind == "time":
        edges = [len(rows) * part // (n_folds + 1) for part in range(n_folds + 2)]
        return [
            (list(range(edges[k])), list(range(edges[k], edges[k + 1])))
            for k in range(1, n_folds + 1)
        ]
    hashes = [input_hash(row, columns) for row in rows]
    dealt = _deal(rows, hashes, split, n_folds)
    return [
        (
            [i for i, fold in enumerate(dealt) if fold != k],
            [i for i, fold in enumerate(dealt) if fold == k],
        )
        for k in range(n_folds)
    ]


def _place(digest: str, salt: str) -> float:
    return int(sha256_hex(f"{salt}:{digest}".encode())[:16], 16) / _SPAN


def _stratified(rows: Sequence[Row], places: Sequence[float], fraction: float) -> set[int]:
    by_class: dict[Any, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        by_class[row[TARGET]].append(i)
    held_out: set[float] = set()
    for members in by_class.values():
        members.sort(key=lambda i: places[i])
        held_out |= {places[i] for i in members[: max(1, round(len(members) * fraction))]}
    return {i for i, place in enumerate(places) if place in held_out}


def _deal(
    rows: Sequence[Row], hashes: Sequence[str], split: SplitSection, n_folds: int
) -> list[int]:
    """Deal rows to folds in hash order, class by class; equal inputs get the first one's fold."""
    order = sorted(range(len(rows)), key=lambda i: _place(hashes[i], f"folds:{split.seed}"))
    if split.kind == "stratified":
        order.sort(key=lambda i: str(rows[i][TARGET]))
    fold_of: dict[str, int] = {}
    for i in order:
        fold_of.setdefault(hashes[i], len(fold_of) % n_folds)
    return [fold_of[digest] for digest in hashes]
