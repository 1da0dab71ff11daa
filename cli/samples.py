"""Sample source files by project, for a first run without data of one's own."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Any

from noria.data.samples.customers import CUSTOMER_COLUMNS, sample_customers
from noria.data.samples.messages import sample_messages
from noria.data.samples.tickets import TICKET_COLUMNS, sample_tickets
from noria.errors import UnknownProjectError

Source = tuple[str, bytes]  # (file name, content)

_BOSTON_COLUMNS = "CRIM ZN INDUS CHAS NOX RM AGE DIS RAD TAX PTRATIO B LSTAT MEDV".split()
_PARTITIONS = 5  # of customers: four to train on, one to test on


def sample_files(project: str, **settings: Any) -> list[Source]:
    """Return the sample files of a project; UnknownProjectError when it has none.

    `settings` are `n_rows`, `seed`, `noise`, `drift`, `shuffle_labels`; real rows ignore them.
    """
    maker = _SAMPLES.get(project)
    if maker is None:
        raise UnknownProjectError(
            f"project '{project}' has no sample data; name a file: --data FILE "
            f"(samples exist for: {', '.join(sorted(_SAMPLES))})"
        )
    return maker(settings)


def _tickets(settings: dict[str, Any]) -> list[Source]:
    rows = sample_tickets(**{"n_rows": 1200, **settings})
    return [("sample_tickets.csv", csv_bytes(TICKET_COLUMNS, rows))]


def _messages(settings: dict[str, Any]) -> list[Source]:
    tables = sample_messages(**{"n_rows": 3000, **settings})
    return [
        (f"sample_{name}.jsonl", json_lines(rows))
        for name, rows in zip(("review", "user", "business"), tables, strict=True)
    ]


def _customers(settings: dict[str, Any]) -> list[Source]:
    rows = list(sample_customers(**{"n_rows": 6000, **settings}))
    size = -(-len(rows) // _PARTITIONS)
    return [
        (f"p{part + 1}_extrac.csv", csv_bytes(CUSTOMER_COLUMNS, rows[part * size : (part + 1) * size]))
        for part in range(_PARTITIONS)
    ]  # fmt: skip


def _housing(settings: dict[str, Any]) -> list[Source]:
    """Return the 506 real Boston tracts that the mlxtend package carries."""
    text = files("mlxtend.data").joinpath("data/boston_housing.csv").read_text()
    rows = ([f"{float(cell):g}" for cell in line.split(",")] for line in text.splitlines())
    return [("sample_housing.csv", csv_bytes(_BOSTON_COLUMNS, rows))]


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a CSV file with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue().encode()


def json_lines(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return a file with one JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


_SAMPLES: dict[str, Callable[[dict[str, Any]], list[Source]]] = {
    "tickets": _tickets,
    "housing": _housing,
    "messages": _messages,
    "customers": _customers,
}
