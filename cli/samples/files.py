"""Sample source files by project, for a first run without data of one's own."""

import csv
import io
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any

from cli.samples.customers import CUSTOMER_COLUMNS, sample_customers
from cli.samples.messages import YEAR, sample_messages
from cli.samples.tickets import TICKET_COLUMNS, sample_tickets
from noria.errors import UnknownProjectError

Source = tuple[str, bytes]  # (file name, content)

_BOSTON_COLUMNS = "CRIM ZN INDUS CHAS NOX RM AGE DIS RAD TAX PTRATIO B LSTAT MEDV".split()
_PARTITIONS = 5  # of customers: four to train on, one to test on


def sample_files(project: str, *, day: int | None = None, **settings: Any) -> list[Source]:
    """Return the sample files of a project; UnknownProjectError when it has none.

    `settings` are `n_rows`, `seed`, `noise`, `drift`, `shuffle_labels`; real rows ignore them.
    `day` dates rows that bear a date: from 0 on, after those of the files without it.
    """
    maker = _SAMPLES.get(project)
    if maker is None:
        raise UnknownProjectError(
            f"project '{project}' has no sample data; name a file: --data FILE "
            f"(samples exist for: {', '.join(sorted(_SAMPLES))})"
        )
    if day is not None and project == "messages":
        settings |= {"first_day": YEAR + day, "n_days": 1}
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


NOTES = {
    "housing": "the sample is the Boston housing table itself: a model that was trained on it has "
    "seen most rows of any other copy, so scores on one mean nothing (--rows draws others)",
}


def _housing(settings: dict[str, Any]) -> list[Source]:
    """Return the 506 real Boston tracts that the mlxtend package carries, or tracts like them.

    With `n_rows` or `drift`, rows are drawn from the real ones, each number moved a little; with
    drift, prices have risen by up to a half and tracts are poorer and busier.
    """
    text = files("mlxtend.data").joinpath("data/boston_housing.csv").read_text()
    real = [[float(cell) for cell in line.split(",")] for line in text.splitlines()]
    rows = real
    if settings.get("n_rows") or settings.get("drift"):
        rows = [*_tracts_like(real, settings)]
    shown = ([f"{cell:g}" for cell in row] for row in rows)
    return [("sample_housing.csv", csv_bytes(_BOSTON_COLUMNS, shown))]


def _tracts_like(real: list[list[float]], settings: dict[str, Any]) -> Iterator[list[float]]:
    rng = random.Random(settings.get("seed", 42))
    drift = settings.get("drift", 0.0)
    bounds = [(min(column), max(column)) for column in zip(*real, strict=True)]
    shifts = {"LSTAT": 0.35, "CRIM": 0.05, "NOX": 0.2, "DIS": -0.15}  # of the range, at drift 1
    for _ in range(settings.get("n_rows") or len(real)):
        row = []
        for name, cell, (low, high) in zip(_BOSTON_COLUMNS, rng.choice(real), bounds, strict=True):
            if name in ("CHAS", "RAD", "MEDV"):  # kinds, and what is predicted
                row.append(cell)
                continue
            moved = cell + (high - low) * (rng.gauss(0.0, 0.01) + drift * shifts.get(name, 0.0))
            row.append(round(min(high, max(low, moved)), 4))
        row[-1] = round(row[-1] * (1.0 + 0.5 * drift) * rng.uniform(0.97, 1.03), 2)
        yield row


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a CSV file with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue().encode()


def json_lines(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return a file with one JSON object per line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


_SAMPLES: dict[str, Callable[[dict[str, Any]], list[Source]]] = {
    "tickets": _tickets,
    "housing": _housing,
    "messages": _messages,
    "customers": _customers,
}
