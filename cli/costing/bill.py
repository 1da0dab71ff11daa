"""A month's bill: what is deployed and what is asked of it, times what AWS charges."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from cli.costing.prices import FOLDER, PriceList
from cli.costing.stacks import HOURS, Deployed
from cli.costing.work import MeteredWork, StepWork
from noria.errors import InvalidInputError
from noria.records.codec import decode

_MINUTES = HOURS * 60
_DAYS = HOURS / 24
_POLLS = 5 * 3 * _MINUTES  # Lambda asks a queue from five places, each 20 s long
_LOGGED_BYTES = 700.0  # of an execution: Lambda's three lines and ours
_LOGGED_OF_REQUEST = 900.0  # more: metrics of the answer, and the line of API Gateway's log
_STORED_SHARE = 0.15  # of logs, compressed; kept a month
CORE_MB, CORE_SHARE = 1769.0, 0.6  # what a vCPU comes with; how much of a core here it is
# What a call waits for its answer, s: from S3 and Firehose longer than from a table.
_WAITS: Mapping[str, float] = {
    "s3:GetObject": 0.02,
    "s3:PutObject": 0.03,
    "s3:ListBucket": 0.03,
    "dynamodb:GetItem": 0.005,
    "dynamodb:Query": 0.005,
    "dynamodb:PutItem": 0.008,
    "dynamodb:UpdateItem": 0.008,
    "firehose:PutRecord": 0.015,
}
_WAIT = 0.03  # of others
_RECORD_GB = 5 * 1024 / 1e9  # Firehose rounds each record up
_FULL_CHECKS = 2.0  # a day of a project at rest: both schedules find the last check a day old
_CLASSES: Mapping[str, str] = {
    "s3:PutObject": "S3 Requests-Tier1",
    "s3:ListBucket": "S3 Requests-Tier1",
    "s3:ListBucketVersions": "S3 Requests-Tier1",
    "s3:GetObject": "S3 Requests-Tier2",
    "dynamodb:GetItem": "DynamoDB ReadRequestUnits",
    "dynamodb:Query": "DynamoDB ReadRequestUnits",
    "dynamodb:PutItem": "DynamoDB WriteRequestUnits",
    "dynamodb:UpdateItem": "DynamoDB WriteRequestUnits",
    "dynamodb:DeleteItem": "DynamoDB WriteRequestUnits",
    "sns:Publish": "SNS Requests",
    "sqs:SendMessage": "SQS Requests",
}


@dataclass(frozen=True)
class Traffic:
    """What is asked of a deployment in a month, spread evenly over its hours."""

    predictions: float = 0.0
    labels: float = 0.0
    batch_rows: float = 0.0
    trainings: float = 0.0
    busy_projects: float = 1.0  # that predictions go to; 0 where there are none
    keys: float = 1.0  # that predictions come with
    stored_gb: float = 1.0


@dataclass(frozen=True)
class BillLine:
    """One usage type."""

    service: str
    usage_type: str
    what: str
    quantity: float
    unit: str
    usd: float  # where what is free is spent elsewhere
    usd_with_free: float
    because: tuple[str, ...]  # the work that makes it up, the largest part first


@dataclass(frozen=True)
class Bill:
    """A month."""

    lines: tuple[BillLine, ...]
    usd: float
    usd_with_free: float


def read_traffic(path: Path) -> Traffic:
    """Return a traffic that a JSON file describes; InvalidInputError names its keys."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(Traffic)}
        if not isinstance(given, dict) or not set(given) <= known:
            raise ValueError(f"its keys may be: {', '.join(sorted(known))}")
        return Traffic(**{name: float(value) for name, value in given.items()})
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"{path.name} is no traffic: {error}") from error


def bill(deployed: Deployed, traffic: Traffic, metered: MeteredWork, prices: PriceList) -> Bill:
    """Return the bill of a month, the dearest line first."""
    used: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for name, quantity, why in _quantities(deployed, traffic, metered):
        used[name][why] += quantity
    lines = []
    for name, parts in used.items():
        price, quantity = prices.of(name), sum(parts.values())
        if quantity <= 0:
            continue
        largest = sorted(parts, key=lambda why, parts=parts: -parts[why])  # type: ignore[misc]
        lines.append(
            BillLine(
                price.service, price.usage_type, price.what, quantity, price.unit,
                price.usd(quantity, is_free_used=True), price.usd(quantity, is_free_used=False),
                tuple(why for why in largest if parts[why] > 0),
            )
        )  # fmt: skip
    lines.sort(key=lambda line: -line.usd)
    return Bill(
        tuple(lines),
        sum(line.usd for line in lines),
        sum(line.usd_with_free for line in lines),
    )


type Used = Iterator[tuple[str, float, str]]  # (usage type, quantity, the work it is for)


def _quantities(deployed: Deployed, traffic: Traffic, metered: MeteredWork) -> Used:
    yield "CloudWatch AlarmMonitorUsage", deployed.n_alarms, "alarms"
    yield "CloudWatch DashboardsUsageHour", deployed.n_dashboards, "the dashboard"
    yield "Secrets Manager Secret", deployed.n_secrets, "addresses of chat services"
    yield "SQS Requests", deployed.n_polled_queues * _POLLS, "queues that functions read"
    yield "S3 TimedStorage-ByteHrs", traffic.stored_gb, "stored objects"
    count = _Counter(deployed, metered)
    busy = min(traffic.busy_projects, deployed.n_projects) if traffic.predictions else 0.0
    yield from _of_schedules(deployed, busy, count)
    if traffic.predictions:
        yield from _of_predictions(deployed, traffic, busy, count)
    labels = "labels"
    yield "API Gateway ApiGatewayRequest", traffic.labels, labels
    yield from count.of("label", traffic.labels, labels)
    yield from count.of("batch row", traffic.batch_rows, "rows of files")
    trainings = [name for name in metered.work if name.startswith("training of ")]
    for name in trainings:
        yield from count.of(name, traffic.trainings / len(trainings), "trainings")


def _of_schedules(deployed: Deployed, busy: float, count: "_Counter") -> Used:
    share = busy / deployed.n_projects if deployed.n_projects else 0.0
    has_looks = False
    for schedule in deployed.schedules:
        yield "EventBridge Scheduler Invocations", schedule.runs, "schedules"
        if schedule.starts == "start_batches":
            continue
        if schedule.starts == "machine":  # before looks: each time a check
            yield from count.of("check", schedule.runs * share, "checks")
            yield from count.of("check at rest", schedule.runs * (1 - share), "checks at rest")
            continue
        has_looks = True
        yield from count.of("look", schedule.runs, "looks")
        yield from count.of("check", schedule.runs * share, "checks")
    if has_looks:
        at_rest = (deployed.n_projects - busy) * _FULL_CHECKS * _DAYS
        yield from count.of("check at rest", at_rest, "checks at rest")


def _of_predictions(deployed: Deployed, traffic: Traffic, busy: float, count: "_Counter") -> Used:
    n, why = traffic.predictions, "predictions"
    yield "API Gateway ApiGatewayRequest", n, why
    yield "Firehose BilledBytes", n * _RECORD_GB, why
    yield "CloudWatch DataProcessing-Bytes", n * _LOGGED_OF_REQUEST / 1e9, why
    yield "CloudWatch MetricMonitorUsage", 2 * (busy + 1), "metrics of predict"
    if deployed.is_traced:
        yield "X-Ray XRay-TracesStored", n, why  # at low traffic each of them
    if deployed.n_limited:
        yield "DynamoDB WriteRequestUnits", n, "counting of requests"
    yield from count.of_step("prediction", "predict", n, why)
    minutes = min(n, _MINUTES)
    yield from count.of_step("prediction", "authorize", minutes * traffic.keys, "keys")
    yield from count.of_step(
        "prediction", "profile_log_chunk", min(n, minutes * busy), "profiles of the log"
    )


class _Counter:
    """Pieces of work, as usage types."""

    def __init__(self, deployed: Deployed, metered: MeteredWork) -> None:
        self._deployed, self._metered = deployed, metered

    def of(self, name: str, n: float, why: str) -> Used:
        """Yield what `n` pieces of a kind of work use."""
        work = self._metered.work.get(name)
        if work is None or not n:
            return
        yield "Step Functions StateTransition", n * work.transitions, why
        for step, done in work.steps.items():
            yield from self._step(step, done, n, why)

    def of_step(self, name: str, step: str, n: float, why: str) -> Used:
        """Yield what `n` executions of one function of a kind of work use."""
        done = self._metered.work[name].steps.get(step)
        if done is not None and step in self._deployed.memory_mb:
            yield from self._step(step, done.each(), n, why)

    def _step(self, step: str, done: StepWork, n: float, why: str) -> Used:
        memory = self._deployed.memory_mb.get(step)
        if memory is None:
            return  # this deployment has no such function
        yield "Lambda Request", n * done.n, why
        seconds = done.seconds * max(1.0, CORE_MB / memory) / CORE_SHARE
        seconds += sum(_WAITS.get(action, _WAIT) * calls for action, calls in done.calls.items())
        kind = "Lambda Lambda-GB-Second" + ("-ARM" if self._deployed.is_arm else "")
        yield kind, n * seconds * memory / 1024, why
        logged = n * done.n * _LOGGED_BYTES / 1e9
        yield "CloudWatch DataProcessing-Bytes", logged, why
        yield "CloudWatch TimedStorage-ByteHrs", logged * _STORED_SHARE, why
        for action, calls in done.calls.items():
            if action in _CLASSES:
                yield _CLASSES[action], n * calls, why


@dataclass(frozen=True)
class AlwaysOn:
    """What one of the four systems keeps running."""

    system: str
    runs: str
    parts: Mapping[str, float]  # usage type -> units a month


@dataclass(frozen=True)
class Alternatives:
    """All of them."""

    note: str
    systems: tuple[AlwaysOn, ...]


def always_on(
    prices: PriceList, file: Path = FOLDER / "always-on.json"
) -> dict[str, tuple[str, float]]:
    """Return what each of the four systems costs a month, running and unused: (what runs, usd)."""
    found = decode(Alternatives, json.loads(file.read_text(encoding="utf-8")))
    return {
        one.system: (
            one.runs,
            sum(prices.of(name).usd(n, is_free_used=True) for name, n in one.parts.items()),
        )
        for one in found.systems
    }
