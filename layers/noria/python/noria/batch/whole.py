"""Batches that are decided when they are whole, however their parts were cut."""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noria.columnar.kernel import Floats
from noria.evaluation.decisions import decide
from noria.evaluation.prior_shift import estimated_shares
from noria.records.batch import PriorShift, WholeDecision
from noria.records.bundle import Decision

_MOST_ROWS = 200_000  # that class shares are estimated from; one counted among them is off by .001


class Whole(Protocol):
    """Decides the rows of a batch, given all of them."""

    shift: PriorShift | None  # what was found of the class shares, where they were looked at

    def decided(self, table: pa.Table) -> pa.Table:
        """Return the next part's answers as the batch decides them; each once, in order."""


def whole_batch(
    decision: WholeDecision, tables: Iterator[pa.Table], *, n_rows: int, least: int
) -> Whole:
    """Return what decides a batch.

    Parameters
    ----------
    tables : iterator of tables
        The answers of each part, in order.
    n_rows : int
        In all tables.
    least : int
        Rows; class shares of fewer are not estimated.
    """
    if decision.share is not None:
        return TopShare(decision.share, decision.classes, tables)
    return ShiftedClasses(decision, tables, n_rows=n_rows, least=least)


def read_stream(body: bytes) -> pa.Table:
    """Return the table of a part's Arrow stream."""
    with pa.ipc.open_stream(body) as reader:
        return reader.read_all()


def outputs_of(table: pa.Table, classes: Sequence[str]) -> Floats:
    """Return the probabilities in a table of answers, of shape (n_rows, n_classes)."""
    columns = [table[f"p_{name}"].to_numpy() for name in classes]
    return np.stack(columns, axis=1)


def decided_in(table: pa.Table, classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the numbers of the classes in a table of answers, of shape (n_rows,)."""
    found = pc.index_in(table["prediction"], value_set=pa.array(list(classes)))
    return np.asarray(found.to_numpy(), dtype=np.int64)


class TopShare:
    """Says which rows of a whole batch are the best.

    Parameters
    ----------
    share : float in (0, 1)
        Of all rows: `round(share * n_rows)` of them are of the second class.
    classes : (other, positive)
    tables : iterator of tables
        The probabilities of the positive class are held in memory: 8 bytes a row.

    Notes
    -----
    Equal rows are taken in their order, as `noria.evaluation.decisions.decide` does.
    """

    shift: PriorShift | None = None

    def __init__(self, share: float, classes: Sequence[str], tables: Iterator[pa.Table]) -> None:
        self._other, self._positive = classes
        column = f"p_{self._positive}"
        # Copies: views would keep all columns of all parts.
        parts = [np.array(table[column].to_numpy()) for table in tables]
        values = np.concatenate([np.zeros(0), *parts])
        n_positive = round(share * len(values))
        self._edge, self._n_at_edge = np.inf, 0
        if n_positive:
            place = len(values) - n_positive
            self._edge = float(np.partition(values, place)[place])
            self._n_at_edge = n_positive - int(np.count_nonzero(values > self._edge))

    def decided(self, table: pa.Table) -> pa.Table:
        """Return the next part's answers with the batch's decision and its confidence."""
        outputs = outputs_of(table, (self._other, self._positive))
        values = outputs[:, 1]
        at_edge = np.flatnonzero(values == self._edge)[: self._n_at_edge]
        self._n_at_edge -= len(at_edge)
        is_best = values > self._edge
        is_best[at_edge] = True
        return _with_decision(
            table, (self._other, self._positive), outputs, is_best.astype(np.int64)
        )


class ShiftedClasses:
    """Corrects the probabilities of a batch for class shares that differ from training.

    Parameters
    ----------
    decision : WholeDecision
    tables : iterator of tables
        Of more than 200,000 rows an even sample in their order is held in memory.
    n_rows : int
        In all tables.
    least : int
        Rows; fewer are insufficient data and stay as they are.

    Notes
    -----
    Nothing changes unless the rows say more for other shares than chance does
    (`EstimatedShares.is_evident`).
    """

    def __init__(
        self, decision: WholeDecision, tables: Iterator[pa.Table], *, n_rows: int, least: int
    ) -> None:
        self._classes = decision.classes
        self._decision = Decision(decision.weights, decision.costs)
        self._found = None
        self.shift: PriorShift | None = None
        if n_rows < max(least, 1):
            return
        sampled = _sampled(tables, decision.classes, ceil(n_rows / _MOST_ROWS))
        found = estimated_shares(sampled, np.array(decision.known_shares))
        self._found = found if found.is_evident else None
        then, now = (
            dict(zip(decision.classes, values.tolist(), strict=True))
            for values in (found.known, found.shares)
        )
        self.shift = PriorShift(len(sampled), then, now, found.is_evident)

    def decided(self, table: pa.Table) -> pa.Table:
        """Return the next part's answers, corrected where the batch's shares differ."""
        if self._found is None:
            return table
        outputs = self._found.corrected(outputs_of(table, self._classes))
        for number, name in enumerate(self._classes):
            place = table.column_names.index(f"p_{name}")
            values = pa.array(np.ascontiguousarray(outputs[:, number]))
            table = table.set_column(place, f"p_{name}", values)
        return _with_decision(
            table, self._classes, outputs, np.asarray(decide(outputs, self._decision).decided)
        )


def _sampled(tables: Iterator[pa.Table], classes: Sequence[str], step: int) -> Floats:
    """Return the probabilities of every `step`-th row of all tables."""
    parts, n_before = [], 0
    for table in tables:
        # A copy: a view would keep all rows of the part.
        parts.append(outputs_of(table, classes)[-n_before % step :: step].copy())
        n_before += len(table)
    return np.concatenate(parts)


def _with_decision(
    table: pa.Table, classes: Sequence[str], outputs: Floats, decided: NDArray[np.int64]
) -> pa.Table:
    sure = outputs[np.arange(len(decided)), decided]
    names = pa.array(list(classes)).take(pa.array(decided))
    for name, column in (("prediction", names), ("confidence", pa.array(sure))):
        table = table.set_column(table.column_names.index(name), name, column)
    return table
