"""Source files for tests."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from noria.data.parsing import ByteBudget, RawRecord, read_records
from noria.data.samples import TICKET_COLUMNS, sample_tickets


def records(body: bytes, name: str = "rows.csv") -> Iterator[RawRecord]:
    """Return the records of a file in memory."""
    return read_records(io.BytesIO(body), name, ByteBudget(10**9))


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a CSV file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue().encode()


def ticket_csv(n_rows: int = 300, **settings: object) -> bytes:
    """Return sample tickets as a CSV file."""
    return csv_bytes(TICKET_COLUMNS, sample_tickets(n_rows, **settings))  # type: ignore[arg-type]
