"""Source files for tests."""

import io
from collections.abc import Iterator

from cli.samples.files import csv_bytes
from cli.samples.tickets import TICKET_COLUMNS, sample_tickets
from noria.data.parsing import ByteBudget, RawRecord, read_records


def records(body: bytes, name: str = "rows.csv") -> Iterator[RawRecord]:
    """Return the records of a file in memory."""
    return read_records(io.BytesIO(body), name, ByteBudget(10**9))


def ticket_csv(n_rows: int = 300, **settings: object) -> bytes:
    """Return sample tickets as a CSV file."""
    return csv_bytes(TICKET_COLUMNS, sample_tickets(n_rows, **settings))  # type: ignore[arg-type]
