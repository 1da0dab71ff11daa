"""A loaded bundle that answers many rows at once, and each doubtful row alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noria.columnar.columns import Cells, Columns, read_columns, read_number
from noria.columnar.features import BatchView
from noria.columnar.kernel import Floats
from noria.columnar.scoring import BATCH_LINKS, batch_scorer
from noria.errors import InvalidInputError
from noria.evaluation.decisions import decide
from noria.inference.predictor import Predictor
from noria.records.prediction import Fault, Row


@dataclass
class BatchAnswers:
    """What the model says of the rows it could answer, in their order."""

    places: NDArray[np.int64]  # of the answered rows among those given
    outputs: Floats  # (n_answered, n_classes): probabilities; or (n_answered, 1): values
    decided: NDArray[np.int64]  # number of the class; zeros in regression
    values: Floats | None  # business value, NaN without one; None where the project has none
    refused: dict[int, list[Fault]]  # place of a row: its faults, by field
    n_outside: int  # answered rows with a number outside the range seen in training
    n_imputed: int  # answered rows with a gap in a column that is not optional
    imputed: dict[str, int]  # such gaps in answered rows, by column; without those that have none
    columns: Columns  # all rows given


class BatchPredictor:
    """Answers rows as `Predictor.answer` does, column by column.

    Parameters
    ----------
    predictor : Predictor
        The loaded bundle. Its row path decides about every row that the columns leave in doubt.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.view = BatchView(predictor.view)
        self._score = batch_scorer(predictor)
        self._link = BATCH_LINKS[predictor.model.link]

    def answer(self, cells: Cells, n_rows: int) -> BatchAnswers:
        """Answer rows given as columns of text cells.

        Parameters
        ----------
        cells : mapping of column name to Arrow strings, each of length `n_rows`
            Columns that the model does not take are not looked at.
        """
        predictor = self.predictor
        columns = read_columns(
            cells, n_rows, predictor.columns, predictor.missing, max_gaps=predictor.max_gaps
        )
        raw = [self._score(features) for features in self.view.transform(columns)]
        outputs = self._link(np.vstack(raw), predictor.model) if raw else self._none()
        columns.doubtful |= ~np.isfinite(outputs).all(axis=1)
        refused = self._answer_alone(cells, columns, outputs)
        places = np.array([i for i in range(n_rows) if i not in refused], dtype=np.int64)
        kept = outputs[places]
        return BatchAnswers(
            places=places,
            outputs=kept,
            decided=self._decide(kept),
            values=self._values(columns, places, kept),
            refused=refused,
            n_outside=int(np.count_nonzero(columns.outside[places])),
            n_imputed=int(np.count_nonzero(columns.n_gaps[places])),
            imputed=columns.gaps_in(places),
            columns=columns,
        )

    def _none(self) -> Floats:
        return np.zeros((0, max(1, len(self.predictor.classes))))

    def _answer_alone(
        self, cells: Cells, columns: Columns, outputs: Floats
    ) -> dict[int, list[Fault]]:
        """Let the row path decide about the doubtful rows; write its answers into `outputs`."""
        doubtful = np.flatnonzero(columns.doubtful).tolist()
        taken = {
            name: cells[name].take(pa.array(doubtful, pa.int64())).to_pylist()
            for name in self._known(cells)
        }
        refused: dict[int, list[Fault]] = {}
        for number, place in enumerate(doubtful):
            inputs = {name: values[number] for name, values in taken.items()}
            try:
                answer = self._answer_row(inputs)
            except InvalidInputError as error:
                refused[place] = error.details["errors"]
                continue
            outputs[place] = answer
            for name, values in columns.numbers.items():
                read = inputs.get(name)
                values[place] = np.nan if read is None else _as_float(read, self.predictor.missing)
        return refused

    def _known(self, cells: Cells) -> list[str]:
        return [name for name in self.predictor.columns if name in cells]

    def _answer_row(self, cells: Row) -> list[float]:
        inputs, faults = dict[str, Any](), list[Fault]()
        for name, cell in cells.items():
            value = cell
            if self.predictor.columns[name].type == "number" and cell is not None:
                value = read_number(cell, self.predictor.missing)
                if isinstance(value, str):
                    faults.append({"field": name, "reason": "must be a number, got text"})
                    value = None
            inputs[name] = value
        if faults:
            raise InvalidInputError("the row cannot be read", errors=faults)
        return self.predictor.answer(inputs, from_file=True).outputs

    def _decide(self, outputs: Floats) -> NDArray[np.int64]:
        if self.predictor.task == "regression":
            return np.zeros(len(outputs), dtype=np.int64)
        # Row by row, as requests are; a batch that is decided by rank is when it is whole.
        decided: NDArray[np.int64] = decide(
            outputs, self.predictor.decision._replace(share=None)
        ).decided
        return decided

    def _values(
        self, columns: Columns, places: NDArray[np.int64], outputs: Floats
    ) -> Floats | None:
        data = self.predictor.postprocessing
        if data is None or data.kind != "business_value":
            return None
        amount = columns.numbers[data.amount][places]
        contact = columns.numbers[data.contact][places] if data.contact else np.ones(len(places))
        return business_values(outputs[:, data.positive], contact, amount)


def business_values(positive: Floats, contact: Floats, amount: Floats) -> Floats:
    """Return `noria.inference.postprocess.business_value` of many rows; NaN where it is None."""
    with np.errstate(invalid="ignore"):
        out: Floats = positive * contact * np.log(np.maximum(amount, 1.0))
    return out


def _as_float(cell: str, missing: frozenset[str]) -> float:
    value = read_number(cell, missing)
    return value if isinstance(value, float) else np.nan
