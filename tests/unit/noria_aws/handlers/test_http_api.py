import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.access.limits import RequestLimits
from noria.api.routes import ROUTES
from noria.errors import (
    AliasConflictError,
    InvalidInputError,
    ModelCorruptError,
    ModelVersionNotFoundError,
    NoApprovalError,
    NoChampionError,
    NoRunError,
    StoreUnavailableError,
    UnknownProjectError,
)
from noria_aws.handlers.http_api import MAX_BODY_BYTES, http_handler
from tests.support.access import (
    ADMIN,
    USER,
    MemoryRequestCounts,
    authorized,
    request_limits,
)
from tests.support.fakes import FixedClock

AT = datetime(2026, 3, 1, 12, 0, 15, tzinfo=UTC)
PREDICT = "/projects/{project}/predict"


def _event(method="POST", resource=PREDICT, body='{"inputs": {}}', key=USER, **changes):
    return {
        "httpMethod": method,
        "resource": resource,
        "path": resource,
        "pathParameters": {"project": "tickets"},
        "requestContext": authorized(key),
        "body": body,
        **changes,
    }


def _answer(event, operation=lambda call: {"got": call.body}):
    operations = {route.operation: operation for route in ROUTES}
    handler = http_handler(lambda: operations, request_limits)
    answer = handler(event, None)
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def test_a_call_reaches_its_operation():
    """Project and body are decoded."""
    status, body, headers = _answer(_event(), lambda call: {"p": call.project, "b": call.body})
    assert (status, body) == (200, {"p": "tickets", "b": {"inputs": {}}})
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["job_id", "check_id", "run_id"])
def test_what_the_path_names_and_who_asks_reach_the_operation(name):
    """The history says whose key it was."""
    grant = USER._replace(key_id="k1", name="a desk")
    event = _event(pathParameters={"project": "tickets", name: "x7"}, key=grant)
    shown = _answer(event, lambda call: {"item": call.item, "caller": call.caller})[1]
    assert shown == {"item": "x7", "caller": "key k1 (a desk)"}


FEATURES = {"method": "GET", "resource": "/projects/{project}/monitoring/features", "body": None}


def test_a_parameter_after_the_path_reaches_the_operation_or_is_refused():
    """None is dropped in silence: whoever misspells one must not be answered as if it held."""
    asked = _event(**FEATURES, queryStringParameters={"threshold": "2.0"})
    assert _answer(asked, lambda call: dict(call.query))[1] == {"threshold": "2.0"}
    for query in ({"treshold": "2"}, {"date": "2026-01-01"}, {"threshold": None}, {"": "x"}):
        status, body, _ = _answer(_event(**FEATURES, queryStringParameters=query))
        assert (status, body["title"]) == (400, "The query cannot be read")
    assert _answer(_event(queryStringParameters={"x": "1"}))[0] == 400
    for nothing in (None, {}, [], "x=1"):
        assert _answer(_event(**FEATURES, queryStringParameters=nothing))[0] == 200


def test_a_route_of_the_other_function_is_none_of_this_one():
    """API Gateway never asks; a forged event gets no error of the server's."""
    handler = http_handler(dict, request_limits)
    assert handler(_event(), None)["statusCode"] == 404


@pytest.mark.parametrize(
    ("event", "status", "title"),
    [
        (_event(key=None), 401, "An API key is required"),
        (_event("GET", "/nowhere"), 404, "There is no such route"),
        (_event("DELETE"), 404, "There is no such route"),
        (_event(body="{"), 400, "The body is not JSON"),
        (_event(body="[" * 100_000), 400, "The body is not JSON"),
        (_event(body='{"x": NaN}'), 400, "The body is not JSON"),
        (_event(body='{"x": ' + "9" * 5000 + "}"), 400, "The body is not JSON"),
        (_event(body='{"x": ["\\ud800"]}'), 400, "The body is not JSON"),
        (_event(body='{"x": 1e999}'), 400, "The body is not JSON"),
        (_event(body='{"x": [-1e999]}'), 400, "The body is not JSON"),
        (_event(body='{"\\udfff": 1}'), 400, "The body is not JSON"),
        (_event(body="%%%", isBase64Encoded=True), 400, "The body is not JSON"),
        (_event(body='"' + "x" * MAX_BODY_BYTES + '"'), 413, "The body is too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_request_that_cannot_run_gets_a_problem_document(event, status, title):
    """RFC 9457, whatever was sent."""
    got, body, headers = _answer(event)
    assert (got, body["status"], body["title"]) == (status, status, title)
    assert headers["content-type"] == "application/problem+json"
    assert {"type", "detail", "instance"} <= set(body)
    assert headers.get("www-authenticate") == ('ApiKey realm="noria"' if status == 401 else None)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_no_route_is_open_and_admin_routes_need_the_admin_key(route):
    """Deny by default."""
    path = {"method": route.method, "resource": route.path}
    assert _answer(_event(**path, key=None))[0] == 401
    assert _answer(_event(**path, key=USER))[0] == (403 if route.scope == "admin" else 200)
    assert _answer(_event(**path, key=ADMIN))[0] == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownProjectError("x"), 404),
        (NoRunError("x"), 404),
        (NoApprovalError("x"), 409),
        (AliasConflictError("x"), 409),
        (InvalidInputError("x", errors=[{"field": "f", "reason": "r"}]), 422),
        (NoChampionError("x"), 503),
        (ModelVersionNotFoundError("x"), 503),
        (ModelCorruptError("x"), 503),
        (StoreUnavailableError("x"), 503),
        (ZeroDivisionError("secret detail"), 500),
    ],
)
def test_errors_become_statuses_and_never_stack_traces(error, status, capsys):
    """The family decides; the unexpected says nothing of the inside."""

    def fail(call):
        raise error

    got, body, headers = _answer(_event(), fail)
    assert (got, body["status"]) == (status, status)
    assert "secret" not in json.dumps(body) + capsys.readouterr().err
    assert ("retry-after" in headers) == (status == 503)
    if status == 422:
        assert body["errors"] == [{"field": "f", "reason": "r"}]


@given(
    st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")),
    st.booleans(),
)
def test_no_body_makes_it_fail(body, encoded):
    """Fuzzed bodies end in 200 or 4xx."""
    assert _answer(_event(body=body, isBase64Encoded=encoded))[0] in (200, 400)


@pytest.mark.parametrize("event", [{}, {"requestContext": None}, {"httpMethod": 3}])
def test_malformed_events_are_answered(event):
    """Even API Gateway may surprise."""
    assert _answer(event)[0] == 404


def test_an_unforeseen_fault_is_counted_by_the_version_of_the_code(capsys):
    """What takes new code back; a refused request and a missing champion are no faults of code."""

    def failing(call):
        raise KeyError("a cell")

    def missing(call):
        raise NoChampionError("no champion")

    for operation in (failing, missing):
        operations = {route.operation: operation for route in ROUTES}
        handler = http_handler(lambda known=operations: known, request_limits)
        handler(_event(), SimpleNamespace(function_version="7", aws_request_id="a"))
    out = capsys.readouterr()
    (document,) = [json.loads(line) for line in out.out.splitlines()]
    assert (document["version"], document["CodeFaults"]) == ("7", 1)
    (metrics,) = document["_aws"]["CloudWatchMetrics"]
    assert metrics["Dimensions"] == [["version"]]
    assert "a cell" not in out.out + out.err


@pytest.mark.parametrize(
    ("header", "allowed"),
    [("https://a.example", True), ("https://b.example", False), (None, False), (7, False)],
)
def test_only_pages_of_allowed_origins_may_read_an_answer(header, allowed):
    """Whatever the answer is; without such origins nothing is said."""
    operations = {route.operation: lambda call: {} for route in ROUTES}
    handler = http_handler(
        lambda: operations, request_limits, lambda: frozenset({"https://a.example"})
    )
    for key in (USER, None):
        headers = handler(_event(key=key, headers={"Origin": header}), None)["headers"]
        assert ("access-control-allow-origin" in headers) == allowed
        assert headers["vary"] == "origin"
    assert handler([], None)["headers"]["vary"] == "origin"
    closed = http_handler(lambda: operations, request_limits)
    assert "vary" not in closed(_event(headers={"origin": "https://a.example"}), None)["headers"]


def test_a_request_has_one_id_in_its_answer_its_problem_and_the_log(capsys):
    """API Gateway's, so that whoever asks for help can name it; a forged one is not repeated."""

    def failing(call):
        raise KeyError("a cell")

    def ids(given):
        context = SimpleNamespace(function_version="7", aws_request_id="of-the-function")
        operations = {route.operation: failing for route in ROUTES}
        handler = http_handler(lambda: operations, request_limits)
        event = _event()
        event["requestContext"]["requestId"] = given
        answer = handler(event, context)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        (logged,) = {line["request_id"] for line in lines}
        instance = json.loads(answer["body"])["instance"]
        return answer["headers"]["x-request-id"], instance, logged

    assert ids("r-1") == ("r-1", "urn:noria:request:r-1", "r-1")
    for forged in (None, 7, "", "x" * 200, "a\r\nset-cookie: b", "ñ"):
        assert {part.rpartition(":")[2] for part in ids(forged)} == {"of-the-function"}
    assert _answer(_event())[2]["x-request-id"]


def _limited(**limits):
    """Return a handler of tickets with limits a minute."""
    counted = RequestLimits({"tickets": limits}, MemoryRequestCounts(), FixedClock(AT))
    operations = {route.operation: lambda call: {} for route in ROUTES}
    return http_handler(lambda: operations, lambda: counted)


def test_a_request_above_the_limit_is_told_when_to_come_again():
    """One that cannot be read counts as well: a body costs as much as a request."""
    handler = _limited(predict=2)
    answers = [handler(_event(body=body), None) for body in ("{", "{}", "{}")]
    assert [answer["statusCode"] for answer in answers] == [400, 200, 429]
    assert answers[2]["headers"]["retry-after"] == "45"
    assert json.loads(answers[2]["body"])["title"] == "Too many requests"


def test_rows_are_counted_where_the_spec_says_so():
    """A batch that no minute takes is no matter of waiting."""
    handler = _limited(rows=5)
    path = {"resource": "/projects/{project}/predict/batch"}

    def sent(n):
        answer = handler(_event(**path, body=json.dumps({"items": [{}] * n})), None)
        return answer["statusCode"], "retry-after" in answer["headers"]

    assert [sent(n) for n in (3, 3, 2, 1, 6)] == [
        (200, False), (429, True), (200, False), (429, True), (422, False),
    ]  # fmt: skip
