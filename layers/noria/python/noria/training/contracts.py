"""What a bundle says of the rows it takes: read off the rows it was trained on."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from noria.data.validation import target_contract
from noria.evaluation.metrics import Floats
from noria.inference.postprocess import business_value
from noria.records.bundle import ColumnContract, TargetContract
from noria.records.prediction import Row
from noria.spec.model import BusinessValueSection, ProjectSpec

_SLACK = 10.0  # training ranges beyond the training range, that a label may lie


def column_contracts(spec: ProjectSpec, rows: Sequence[Row]) -> dict[str, ColumnContract]:
    """Return what a request may send, with the range of each number in training."""
    columns = {}
    drops_gaps = spec.dataset.missing_rows == "drop"
    for name, column in spec.dataset.columns.items():
        known = [row[name] for row in rows if row[name] is not None]
        is_number = column.type == "number" and known
        columns[name] = ColumnContract(
            type=column.type,
            required=column.required,
            min=column.min,
            max=column.max,
            max_length=column.max_length,
            pii=column.pii,
            seen=(min(known), max(known)) if is_number else None,
            optional=column.optional,
            missing="refuse" if drops_gaps and column.type == "number" else column.missing,
        )
    return columns


def label_contract(spec: ProjectSpec, targets: Any) -> TargetContract:
    """Return how labels that come later are read: as in training, and not far outside it.

    Parameters
    ----------
    targets : array of shape (n,)
        Of the training rows: values, or class numbers, which bound nothing.

    Notes
    -----
    Where the spec gives a value no bound, it is ten times the training range beyond that range:
    a slip of the keyboard in one label must not decide what the model is worth.
    """
    contract = target_contract(spec)
    if spec.project.task != "regression":
        return contract
    low, high = float(np.min(targets)), float(np.max(targets))
    slack = _SLACK * (high - low)
    return contract._replace(
        min=low - slack if contract.min is None else contract.min,
        max=high + slack if contract.max is None else contract.max,
    )


def max_gaps(spec: ProjectSpec, rows: Sequence[Row]) -> int:
    """Return how many gaps a row to answer may have: what training took, serving takes."""
    dataset = spec.dataset
    names = [name for name, column in dataset.columns.items() if not column.optional]
    in_training = max(sum(row[name] is None for name in names) for row in rows)
    return max(int(len(names) * dataset.max_missing_fraction), in_training)


def typical_row(spec: ProjectSpec, rows: Sequence[Row]) -> Row:
    """Return the median of each number, the most frequent category or time, no text."""
    typical: dict[str, Any] = {}
    for name, column in spec.dataset.columns.items():
        known = sorted(row[name] for row in rows if row[name] is not None)
        if column.type == "text" or not known:
            typical[name] = None
        elif column.type == "number":
            typical[name] = float(statistics.median(known))
        else:
            typical[name] = statistics.mode(known)
    return typical


def band_edges(
    settings: BusinessValueSection, rows: Sequence[Row], positives: Floats
) -> tuple[float, ...]:
    """Return the business values between two bands; none where no row has a value.

    Parameters
    ----------
    positives : array of shape (n_rows,)
        Probabilities of the positive class, by a model that was not fitted on the rows.
    """
    found = [
        business_value(
            float(positive),
            row[settings.contact] if settings.contact else 1.0,
            row[settings.amount],
        )
        for row, positive in zip(rows, positives, strict=True)
    ]
    values = sorted(value for value in found if value is not None)
    return tuple(np.quantile(values, settings.band_quantiles).tolist()) if values else ()
