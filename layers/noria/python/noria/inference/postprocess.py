"""What a project adds to each prediction: registered functions, declared in the spec."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from math import log

from noria.records.bundle import Postprocessing
from noria.records.prediction import Row

Added = Mapping[str, float | str | None]  # fields of an answer
Postprocess = Callable[[Row, Sequence[float]], Added]


def load_postprocess(data: Postprocessing | None) -> Postprocess:
    """Return the postprocessor of a bundle; one that adds nothing where there is none."""
    if data is None:
        return lambda *_: {}
    return POSTPROCESSORS[data.kind](data)


def business_value(positive: float, contact: float | None, amount: float | None) -> float | None:
    """Return p(positive) x p(contact) x ln(amount), dimensionless; None without both inputs.

    Amounts below 1 count as 1, so that they are worth nothing rather than less.

    Examples
    --------
    >>> round(business_value(0.5, 0.8, 1000.0), 3)
    2.763
    >>> business_value(0.5, 0.8, 0.0)
    0.0
    """
    if contact is None or amount is None:
        return None
    return positive * contact * log(max(amount, 1.0))


def _business_value(data: Postprocessing) -> Postprocess:
    """Add `business_value` and, once the training rows gave quantiles, its `band`."""
    position, edges, bands = data.positive, data.edges, data.bands

    def add(inputs: Row, outputs: Sequence[float]) -> Added:
        contact = inputs.get(data.contact) if data.contact else 1.0
        value = business_value(outputs[position], contact, inputs.get(data.amount))
        band = None if value is None or not edges else bands[bisect_left(edges, value)]
        return {"business_value": value, "band": band}

    return add


POSTPROCESSORS: dict[str, Callable[[Postprocessing], Postprocess]] = {
    "business_value": _business_value,
}
