"""Hostile files through a whole batch job: an answer for each row, or a reason, and an end."""

import gzip
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pyarrow as pa
import pyarrow.parquet

from tests.fuzz.bundles import in_time
from tests.support.jobs import Jobs, csv_file, parquet_file

_ROWS = 60
_SNIPPETS = (
    b'"', b'""', b'x","\n', b"\x00", b"\xff\xfe", b"\r", b"\n\n", b",,,,", b'{"x": 1e999}\n', b"{",
    b"=cmd|' /C calc'!A0", "\u200b=1+1".encode(), "\uff1d1+1".encode(), b"1e999", b"NaN", b"-",
    b"9" * 400, b"PAR1", b"\x1f\x8b", b"i1,1\n" * 30, b"\xef\xbb\xbf", b"true", b"[1]", b"nul",
)  # fmt: skip


@dataclass
class Tally:
    """What became of the files."""

    n: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


def run(n: int, seed: int) -> Tally:
    """Send `n` mutated files of every kind through plan, parts and close.

    Raises
    ------
    Exception
        Whatever a step raised: no file may fail one.
    """
    rng, tally = Random(seed), Tally()
    jobs = Jobs()
    for number in range(n):
        name, make = rng.choice(_KINDS)
        body = mutated(make(), rng)
        with in_time(f"file {number} of seed {seed}, {name}"):
            folder = f"j{number}"
            plan = jobs.plan(body, name, folder=folder)
            for part in range(plan.n_parts):
                jobs.score(plan.job_id, part)
            closed = jobs.close()
        tally.n += 1
        tally.outcomes[closed.outcome] += 1
        assert bool(plan.reasons) == (plan.verdict == "rejected")
        # A file of which no row is good is rejected when it is closed.
        assert closed.outcome in ("BatchCompleted", "BatchRejected")
        assert closed.outcome == "BatchRejected" or plan.verdict == "planned"
        for reason in plan.reasons:
            tally.reasons[reason.partition(": ")[2][:40]] += 1
    return tally


def mutated(body: bytes, rng: Random) -> bytes:
    """Return a file with up to eight places of its bytes changed, added, doubled or gone."""
    for _ in range(rng.choice([0, 1, 1, 2, 8])):
        at, how = rng.randrange(len(body) + 1), rng.random()
        if how < 0.45:
            body = body[:at] + rng.choice(_SNIPPETS) * rng.choice([1, 1, 40]) + body[at:]
        elif how < 0.65:
            body = body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
        elif how < 0.8:
            body = body[:at] + body[at + rng.randrange(1, 200) :]
        elif how < 0.9:
            body = body[:at]
        else:
            body = body[:at] + body[at : at + 300] * 3 + body[at:]
    return body


def _json_lines() -> bytes:
    return b"".join(b'{"id": "i%d", "X": %d}\n' % (k, k % 10) for k in range(_ROWS))


def _parquet() -> bytes:
    return parquet_file([{"id": f"i{k}", "X": k % 10} for k in range(_ROWS)])


def _odd_parquet() -> bytes:
    out = io.BytesIO()
    table = pa.table(
        {
            "X": pa.array([1, None] * 30, pa.int64()),
            "id": pa.array([b"\xff", b"a"] * 30),
            "t": pa.array([10**15] * 60, pa.timestamp("us")),
            "n": pa.array([[1]] * 60),
            "d": pa.array(["a"] * 60).dictionary_encode(),
            "h": pa.array([1.0] * 60, pa.float16()),
            "e": pa.array([None] * 60),
        }
    )
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


_KINDS: tuple[tuple[str, Callable[[], bytes]], ...] = (
    ("rows.csv", lambda: csv_file(_ROWS)),
    ("rows.csv.gz", lambda: gzip.compress(csv_file(_ROWS), mtime=0)),
    ("rows.jsonl", _json_lines),
    ("rows.parquet", _parquet),
    ("rows.parquet", _odd_parquet),
)
