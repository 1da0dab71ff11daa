"""A batch that is decided by rank: the best share of its rows, however its parts were cut."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from noria.columnar.kernel import Floats


def read_stream(body: bytes) -> pa.Table:
    """Return the table of a part's Arrow stream."""
    with pa.ipc.open_stream(body) as reader:
        return reader.read_all()


class TopShare:
    """Says which rows of a whole batch are the best.

    Parameters
    ----------
    share : float in (0, 1)
        Of all rows: `round(share * n_rows)` of them are of the second class.
    classes : (other, positive)
    probabilities : arrays
        Of the positive class, of each part in order. All are in memory: 8 bytes a row.

    Notes
    -----
    Equal rows are taken in their order, as `noria.evaluation.decisions.decide` does. Parts must
    be decided in their order, each once.
    """

    def __init__(
        self, share: float, classes: Sequence[str], probabilities: Iterator[Floats]
    ) -> None:
        self._other, self.positive = classes
        values = np.concatenate([np.zeros(0), *probabilities])
        self.n_rows, self.n_positive = len(values), round(share * len(values))
        self._edge, self._n_at_edge = np.inf, 0
        if self.n_positive:
            place = self.n_rows - self.n_positive
            self._edge = float(np.partition(values, place)[place])
            self._n_at_edge = self.n_positive - int(np.count_nonzero(values > self._edge))

    def decided(self, table: pa.Table) -> pa.Table:
        """Return the next part's answers with the batch's decision and its confidence."""
        values = table[f"p_{self.positive}"].to_numpy()
        at_edge = np.flatnonzero(values == self._edge)[: self._n_at_edge]
        self._n_at_edge -= len(at_edge)
        is_best = values > self._edge
        is_best[at_edge] = True
        names = pa.array([self._other, self.positive]).take(pa.array(is_best.astype(np.int64)))
        sure = np.where(is_best, values, table[f"p_{self._other}"].to_numpy())
        for name, column in (("prediction", names), ("confidence", pa.array(sure))):
            table = table.set_column(table.column_names.index(name), name, column)
        return table
