"""Source files for tests."""

import csv
import io
from collections.abc import Iterable, Sequence

from noria.data.samples import TICKET_COLUMNS, sample_tickets


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
