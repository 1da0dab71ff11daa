"""Sample source files by project, for a first run without data of one's own."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Any

from noria.data.samples import TICKET_COLUMNS, sample_tickets
from noria.errors import UnknownProjectError

_BOSTON_COLUMNS = [
    "CRIM",
    "ZN",
    "INDUS",
    "CHAS",
    "NOX",
    "RM",
    "AGE",
    "DIS",
    "RAD",
    "TAX",
    "PTRATIO",
    "B",
    "LSTAT",
    "MEDV",
]


def sample_file(project: str, **settings: Any) -> bytes:
    """Return a sample CSV of a project; UnknownProjectError when it has none.

    `settings` are `n_rows`, `seed`, `noise`, `shuffle_labels`; real rows ignore them.
    """
    maker = _SAMPLES.get(project)
    if maker is None:
        raise UnknownProjectError(
            f"project '{project}' has no sample data; name a file: --data FILE "
            f"(samples exist for: {', '.join(sorted(_SAMPLES))})"
        )
    return maker(settings)


def _tickets(settings: dict[str, Any]) -> bytes:
    settings = {"n_rows": 1200, **settings}
    return csv_bytes(TICKET_COLUMNS, sample_tickets(**settings))


def _housing(settings: dict[str, Any]) -> bytes:
    """Return the 506 real Boston tracts that the mlxtend package carries."""
    text = files("mlxtend.data").joinpath("data/boston_housing.csv").read_text()
    rows = ([f"{float(cell):g}" for cell in line.split(",")] for line in text.splitlines())
    return csv_bytes(_BOSTON_COLUMNS, rows)


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a CSV file with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue().encode()


_SAMPLES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "tickets": _tickets,
    "housing": _housing,
}
