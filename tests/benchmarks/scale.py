"""`make bench-scale`: what a day's rows cost in time and dollars on each path, on paper.

A model, not a measurement: its only measured numbers are rows per second of one core, read from
`build/batch.json` (`make bench-batch`) and, for an analysis by Spark, from `build/spark.json`
(`make bench-spark`), and bytes a row of the same files. Prices are those of `noria cost`, quotas
the documented defaults, constants below.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from rich.console import Console
from rich.table import Table

from cli.costing.bill import CORE_MB, CORE_SHARE
from cli.costing.prices import read_prices
from tests.benchmarks.size import results_file
from tests.benchmarks.spark import ANALYSIS, N_ROWS

_DAYS = (1_000_000, 100_000_000, 1_000_000_000)
_CORE_GB = CORE_MB / 1000  # memory that comes with one vCPU
_LAMBDA_GB_SECOND, _LAMBDA_REQUEST, _TRANSITION, _PUT, _GET, _API_REQUEST, _FIREHOSE_GB, _DPU = (
    read_prices("us-east-1").of(name).tiers[0].usd
    for name in (
        "Lambda Lambda-GB-Second-ARM", "Lambda Request", "Step Functions StateTransition",
        "S3 Requests-Tier1", "S3 Requests-Tier2", "API Gateway ApiGatewayRequest",
        "Firehose BilledBytes", "Glue DPU-Hour",
    )
)  # fmt: skip
_S3_BYTES_A_SECOND = 80e6  # of one function, in one stream
_ROWS_A_PART, _PARTS_A_JOB, _FUNCTION_SECONDS = 20_000, 10_000, 900
_START_SECONDS = 2.0  # of a function with Arrow, once per worker
_PREDICT_SECONDS, _PREDICT_GB, _LOGGED_BYTES = 0.03, 0.5, 600  # a request of one row
_API_A_SECOND, _FIREHOSE_A_SECOND = 10_000, 2_000  # default quotas: requests
_S3_PUTS_A_SECOND, _S3_GETS_A_SECOND = 3_500, 5_500  # of one prefix
_TABLE_READS_A_SECOND = 3_000  # of one DynamoDB partition: a project's aliases
_REFRESH_SECONDS = 10.0  # after which a warm function reads the aliases again
_WORKER_CORES, _WORKER_HOUR = 4, _DPU  # of Glue's G.1X: one DPU
_SPARK_START_SECONDS, _CORES_HERE = 90.0, 2
_PEAK = 3.0  # of a day's mean


@dataclass(frozen=True)
class Estimate:
    """One path at one size."""

    path: str
    rows: int
    hours: float | None  # None: it runs all day
    dollars: float
    limits: str  # what bites first, and what to do


def batch(rows: int, rate: float, row_bytes: float, concurrency: int) -> Estimate:
    """Return a day's rows as files through `batch.asl.json`.

    Parameters
    ----------
    rate : float
        Rows a second of one core here, scoring only.
    concurrency : int
        Parts at once (`batch.max_concurrency`).
    """
    jobs = ceil(rows / (_ROWS_A_PART * _PARTS_A_JOB))
    parts = ceil(rows / _ROWS_A_PART)
    a_part = _ROWS_A_PART / (rate * CORE_SHARE) + 3 * _ROWS_A_PART * row_bytes / _S3_BYTES_A_SECOND
    scoring = _START_SECONDS + ceil(parts / concurrency) * a_part
    # Planning reads and writes the file, gathering reads and writes the results, one function each.
    ends = 4 * rows * row_bytes / _S3_BYTES_A_SECOND
    seconds = _CORE_GB * (parts * a_part + min(parts, concurrency) * _START_SECONDS) + 3.0 * ends
    dollars = seconds * _LAMBDA_GB_SECOND + parts * (
        _LAMBDA_REQUEST + 2 * _TRANSITION + 5 * _PUT + 6 * _GET
    )
    limits = []
    if 2 * rows * row_bytes / _S3_BYTES_A_SECOND / jobs > _FUNCTION_SECONDS:
        limits.append("planning a file takes above 15 minutes: cut it into smaller ones")
    if jobs > 1:
        limits.append(f"10,000 parts a job: {jobs} files, or more rows per part")
    if concurrency > 1000:
        limits.append("Lambda's 1,000 at once: ask for more")
    at_once = min(parts, concurrency) / a_part
    if 5 * at_once > _S3_PUTS_A_SECOND or 6 * at_once > _S3_GETS_A_SECOND:
        limits.append("S3's requests a second and prefix: larger parts")
    return Estimate(
        # Several files go side by side.
        f"files, {concurrency} parts at once", rows, (scoring + ends / jobs) / 3600, dollars,
        "; ".join(limits) or "none",
    )  # fmt: skip


def online(rows: int, rows_a_request: int) -> Estimate:
    """Return a day's rows as requests; a request of many rows is logged as one record."""
    requests = rows / rows_a_request
    a_second = _PEAK * requests / 86_400
    busy = _PREDICT_SECONDS + 0.0002 * rows_a_request
    dollars = (
        requests * (_API_REQUEST + _LAMBDA_REQUEST + busy * _PREDICT_GB * _LAMBDA_GB_SECOND)
        + rows * _LOGGED_BYTES / 1e9 * _FIREHOSE_GB
    )
    limits = []
    if a_second > _FIREHOSE_A_SECOND:
        limits.append(f"Firehose's {_FIREHOSE_A_SECOND:,} requests a second and stream")
    if a_second > _API_A_SECOND:
        limits.append(f"API Gateway's {_API_A_SECOND:,} requests a second an account")
    at_once = a_second * busy
    if at_once > 1000:
        limits.append(f"{at_once:,.0f} functions at once")
    if at_once / _REFRESH_SECONDS > _TABLE_READS_A_SECOND:
        limits.append("reads of one DynamoDB partition")
    shown = "one row" if rows_a_request == 1 else f"{rows_a_request} rows"
    return Estimate(f"requests of {shown}", rows, None, dollars, "; ".join(limits) or "none")


def analysis(rows: int, rate: float, workers: int) -> Estimate:
    """Return a day's rows beside the training rows, by Spark on Glue.

    Parameters
    ----------
    rate : float
        Rows a second of one core here.
    """
    cores = _WORKER_CORES * (workers - 1)  # one worker is the driver
    seconds = _SPARK_START_SECONDS + rows / (rate * CORE_SHARE * cores)
    dollars = max(seconds, 60.0) / 3600 * workers * _WORKER_HOUR
    return Estimate(f"analysis, {workers} workers", rows, seconds / 3600, dollars, "none")


def estimates(rate: float, row_bytes: float) -> Iterator[Estimate]:
    """Yield every path of scoring at every size."""
    for rows in _DAYS:
        yield batch(rows, rate, row_bytes, 50)
        yield batch(rows, rate, row_bytes, 1000)
        yield online(rows, 1)
        yield online(rows, 100)


def main() -> None:
    """Print the tables for a linear model, boosted trees and texts."""
    measured = {r["name"]: r["value"] for r in json.loads(results_file("batch.json").read_text())}
    for name, row_bytes in (
        ("customers, logistic_regression", 136.0),
        ("customers, xgboost", 136.0),
        ("tickets, logistic_regression", 141.0),
    ):
        rate = 1.0 / measured[f"{name}: a row"]
        table = Table(
            title=f"{name}: {rate:,.0f} rows per second and core here, {CORE_SHARE} of it on Lambda"
        )
        for column in ("path", "rows per day", "hours", "dollars a day", "what limits it"):
            table.add_column(
                column, justify="left" if column in ("path", "what limits it") else "right"
            )
        for found in estimates(rate, row_bytes):
            hours = "all day" if found.hours is None else f"{found.hours:.2f}"
            table.add_row(
                found.path, f"{found.rows:,}", hours, f"{found.dollars:,.2f}", found.limits
            )
        Console(width=150).print(table)
    (spark,) = [
        result
        for result in json.loads(results_file("spark.json").read_text())
        if result["name"] == ANALYSIS
    ]
    rate = N_ROWS / spark["value"] / _CORES_HERE
    print(f"{ANALYSIS}: {rate:,.0f} rows per second and core here")
    for rows in _DAYS:
        for workers in (3, 11):
            found = analysis(rows, rate, workers)
            print(
                f"  {rows:>13,} rows, {found.path}: {found.hours:.2f} h, {found.dollars:.2f} dollars"
            )


if __name__ == "__main__":
    main()
