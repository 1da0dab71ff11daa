"""Mutated events on every route: no answer is an error of the server's, and none is huge."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from random import Random
from typing import Any

from noria.api.routes import PREDICT, ROUTES, Route
from tests.fuzz.projects import PROJECTS, World, event, world
from tests.fuzz.values import mutated
from tests.support.documented import require_documented

MAX_ANSWER_BYTES = 1_000_000

_TEXTS = (
    "", " ", "\x00", "\ufeff", "NaN", "inf", "-1", "1e308", "true", "null", "=1+1", "../..", "ñandú",
    "İ" * 300, "e" + "\u0301" * 300, "a@" * 300, "x" * 6000, "\u200b", "\ud800", "🧭" * 50, "%s%n",
    "{{7*7}}", "<script>", "' OR 1=1 --", "2026-02-30T25:61:00", "9999-12-31T23:59:59+14:00",
)  # fmt: skip
_NUMBERS = (0, -0.0, 1, -1, 0.1, 1e308, -1e308, 5e-324, 2**31, 2**63, 10**300, -(10**400), 1e-9)
_RAW = (  # JSON that Python's own `dumps` does not write
    '{"inputs": NaN}', '{"inputs": {"a": Infinity}}', '{"a": 1, "a": 2}', "[" * 5000, "{", "\x00",
    '{"inputs": {"x": 1e999}}', '{"labels": [' + '{"record_id": "a", "label": 1},' * 5 + "]}",
    '"' + "x" * 999_000 + '"', '{"inputs": ' + '{"a":' * 200 + "1" + "}" * 200 + "}", "null", "7",
)  # fmt: skip


@dataclass
class Tally:
    """What was sent and what came."""

    n: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    by_route: Counter[str] = field(default_factory=Counter)
    largest: int = 0  # bytes of an answer
    n_documented: int = 0  # answers that were held to the API's document


def run(n: int, seed: int, handler: Callable[[Mapping[str, Any], Any], Any] | None = None) -> Tally:
    """Send `n` mutated events, a new process of predict every 5,000.

    Parameters
    ----------
    handler : callable, optional
        Answers all events; for controls.

    Raises
    ------
    AssertionError
        An answer is an error of the server's, no JSON, larger than `MAX_ANSWER_BYTES`, or none
        that the API's document has.
    """
    rng, made, tally = Random(seed), world(), Tally()
    answer = handler
    for number in range(n):
        if handler is None and number % 5000 == 0:
            made = world()
            answer = made.handler()
        assert answer is not None
        sent = _mutated_event(rng, made)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as log:
            got = answer(sent, None)
        body = got["body"]
        shown = json.loads(body)
        what = f"case {number} of seed {seed}: {got['statusCode']} {body[:300]}\n{log.getvalue()}"
        assert 200 <= got["statusCode"] < 500, f"{what}\n{str(sent)[:2000]}"
        assert len(body.encode()) <= MAX_ANSWER_BYTES, f"{what}: {len(body):,} characters"
        route = _route(sent)
        if route is not None:
            tally.n_documented += 1
            require_documented(route, got["statusCode"], shown)
        tally.n += 1
        tally.by_status[got["statusCode"]] += 1
        tally.by_route[sent["resource"] if sent.get("resource") in _PATHS else "another"] += 1
        tally.largest = max(tally.largest, len(body.encode()))
    return tally


def _route(sent: Mapping[str, Any]) -> Route | None:
    """Return the route that an event is of; None where predict answers none such."""
    method, path = sent.get("httpMethod"), sent.get("resource")
    return next((r for r in _OF_PREDICT if (r.method, r.path) == (method, path)), None)


def _mutated_event(rng: Random, made: World) -> Mapping[str, Any]:
    project, route = rng.choice(PROJECTS), rng.choice(ROUTES)
    if rng.random() < 0.5:  # most of what can go wrong is in a row
        route = rng.choice(_OF_ROWS)
    body = _body(rng, made, project, rng.choice(_WRITES) if rng.random() < 0.1 else route.operation)
    sent = event(route.method, route.path, project, body)
    if rng.random() < 0.1:
        sent = mutated(sent, rng, _anything, _TEXTS)
    return sent if isinstance(sent, Mapping) else {"body": sent}


_OF_ROWS = [
    route for route in ROUTES if route.operation in ("predict", "predict_batch", "feedback")
]
_OF_PREDICT = [route for route in ROUTES if route.function == PREDICT]
_PATHS = tuple(route.path for route in ROUTES)
_WRITES = ("predict", "predict_batch", "feedback", "create_job", "baseline")


def _body(rng: Random, made: World, project: str, operation: str) -> str | None:
    if rng.random() < 0.03:
        return rng.choice(_RAW)
    rows = made.rows[project]
    labels = ["0", "yes", "positive", 21.5, None, 0, 1e155]
    valid: Any = None
    if operation == "predict":
        valid = {
            "inputs": dict(rng.choice(rows)),
            "record_id": "r1",
            "explain": rng.choice([True, 3, 0]),
        }
    elif operation == "predict_batch":
        valid = {
            "items": [{"inputs": dict(rng.choice(rows))} for _ in range(rng.choice([1, 3, 100]))]
        }
    elif operation == "feedback":
        ids = [{"record_id": "a"}, {"prediction_id": "2026-01-01T00:00:00-abc"}]
        valid = {"labels": [rng.choice(ids) | {"label": rng.choice(labels)} for _ in range(4)]}
    elif operation == "create_job":
        valid = {"filename": "rows.csv", "limit": 10}
    elif operation == "baseline":
        valid = {"hours": 24}
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        valid = mutated(valid, rng, _anything, _TEXTS)
    try:
        return json.dumps(valid)
    except (ValueError, TypeError):
        return None


def _anything(rng: Random) -> Any:
    return rng.choice(
        [
            rng.choice(_TEXTS),
            rng.choice(_NUMBERS),
            rng.choice(_NUMBERS),
            rng.random() * 1000,
            None,
            True,
            False,
            [],
            {},
            [None],
            {"a": {"b": [1]}},
            [[[[]]]],
            "x" * rng.randrange(200),
        ]
    )
