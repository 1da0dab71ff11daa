"""API Gateway proxy events to calls and back; every failure is a problem document (RFC 9457).

Routes are those of `noria.api.routes`.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from noria.access.grants import allows, from_context
from noria.access.limits import Asked, RequestLimits
from noria.api.routes import ITEMS, ROUTES, Route
from noria.errors import (
    AliasConflictError,
    DataError,
    InvalidInputError,
    ModelError,
    NoApprovalError,
    NoChampionError,
    NoCheckError,
    NoJobError,
    NoriaError,
    NoRunError,
    RegistryError,
    TooManyRequestsError,
    TransientError,
    UnknownProjectError,
)
from noria.records.access import Grant
from noria_aws.handlers.runtime import emit_fault, log_event, log_facts

MAX_BODY_BYTES = 1_000_000
EXPOSED_HEADERS = "x-request-id,retry-after"  # to pages of other origins
CHALLENGE = 'ApiKey realm="noria"'  # of an answer to a request without a key (RFC 9110, 11.6.1)
_STATUS: tuple[tuple[type[NoriaError], int, str], ...] = (
    (UnknownProjectError, 404, "There is no such project"),
    (InvalidInputError, 422, "The inputs cannot be scored"),
    (DataError, 400, "The request cannot be read"),
    (NoChampionError, 503, "The project has no champion"),
    (NoCheckError, 404, "No monitoring check has run yet"),
    (NoJobError, 404, "There is no such job"),
    (NoRunError, 404, "There is no such run"),
    (NoApprovalError, 409, "No rollout waits for an approval"),
    (AliasConflictError, 409, "The champion has changed meanwhile"),
    (TooManyRequestsError, 429, "Too many requests"),
    (ModelError, 503, "The champion cannot be loaded"),
    (RegistryError, 503, "The champion cannot be loaded"),
    (TransientError, 503, "A store did not answer; try again"),
)


_MAX_ID_CHARACTERS = 128  # of a request's id


class RequestRefusedError(NoriaError):
    """A request that is answered before any operation runs."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title = status, title


class Call(NamedTuple):
    """One request, decoded."""

    project: str | None
    body: Any  # JSON value, None without a body
    grant: Grant  # of whoever asks
    item: str = ""  # the job, check or run that the path names
    query: Mapping[str, str] = MappingProxyType({})  # parameters after the path

    @property
    def caller(self) -> str:
        """Who asks, for the history and the audit log."""
        return self.grant.actor


Operation = Callable[[Call], Mapping[str, Any]]
Operations = Mapping[str, Operation]


def http_handler(
    operations: Callable[[], Operations],
    limits: Callable[[], RequestLimits],
    origins: Callable[[], frozenset[str]] = frozenset,
) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Make a Lambda proxy handler of the operations that `noria.api.routes` names.

    Parameters
    ----------
    operations : callable
        Called once per request, so that start-up faults become answers too.
    limits : callable
        Returns how many requests a minute are let through.
    origins : callable
        Returns the origins whose pages may read the answers in a browser.
    """

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        answer = answered(event, context)
        if allowed := origins():
            answer["headers"] |= _cors_headers(event, allowed)
        return answer

    def answered(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        resource, request_id = None, _request_id(event, context)
        log_facts["request_id"] = request_id
        try:
            if not isinstance(event, Mapping):
                raise RequestRefusedError(400, "The event cannot be read", "it is no object")
            resource = event.get("resource")
            route = _route(event)
            grant = _granted(event, route)
            operation = operations().get(route.operation)
            if operation is None:  # of the other function: API Gateway never asks for it here
                raise RequestRefusedError(404, "There is no such route", route.path)
            call = _admitted(event, route, grant, limits())
            answer = operation(call)
            return _json_answer(200, answer, "application/json", request_id)
        except NoriaError as error:
            return _problem(error, request_id)
        except Exception as error:  # noqa: BLE001 - the edge: callers get no stack trace
            # Its class only: a message may quote the inputs.
            log_event("request_failed", error=type(error).__name__, resource=resource)
            emit_fault(context.function_version if context else "$LATEST")
            failed = RequestRefusedError(500, "Internal error", "the request failed; it was logged")
            return _problem(failed, request_id)

    return handler


def _cors_headers(event: Any, allowed: frozenset[str]) -> dict[str, str]:
    """Return what lets a page of an allowed origin read the answer; caches keep origins apart."""
    headers = _part(event, "headers") if isinstance(event, Mapping) else {}
    origin = next((_text(headers, name) for name in headers if str(name).lower() == "origin"), None)
    if origin is None or origin not in allowed:
        return {"vary": "origin"}
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED_HEADERS,
        "vary": "origin",
    }


def _call(event: Mapping[str, Any], route: Route, grant: Grant) -> Call:
    given = _part(event, "pathParameters")
    item = next(filter(None, (_text(given, name) for name in ITEMS)), "")
    return Call(_text(given, "project"), _body(event), grant, item, _query(event, route))


def _admitted(event: Mapping[str, Any], route: Route, grant: Grant, limits: RequestLimits) -> Call:
    """Count a request and decode it; what cannot be decoded counts too, unless rows are counted."""
    project = _text(_part(event, "pathParameters"), "project") or ""
    asked = Asked(project, route.operation, route.limit)
    if not limits.counts_rows(project, route.operation):
        limits.require(grant, asked)
        return _call(event, route, grant)
    call = _call(event, route, grant)
    rows = call.body.get("items") if isinstance(call.body, Mapping) else None
    limits.require(grant, asked._replace(n_rows=len(rows) if isinstance(rows, list) else 1))
    return call


def _request_id(event: Any, context: Any) -> str:
    """Return API Gateway's id of a request, the function's own where it has none."""
    about = _part(event, "requestContext") if isinstance(event, Mapping) else {}
    given = _text(about, "requestId")
    if given and len(given) <= _MAX_ID_CHARACTERS and given.isascii() and given.isprintable():
        return given
    return str(context.aws_request_id) if context else "none"


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object of an event; whoever forges one may send anything in its place."""
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None


def _route(event: Mapping[str, Any]) -> Route:
    method, path = event.get("httpMethod"), event.get("resource")
    for route in ROUTES:
        if (route.method, route.path) == (method, path):
            return route
    shown = f"{_text(event, 'httpMethod')} {_text(event, 'path')}"[:200]
    raise RequestRefusedError(404, "There is no such route", shown)


def _granted(event: Mapping[str, Any], route: Route) -> Grant:
    """Return what the caller may do, if this is part of it; API Gateway asks no less."""
    grant = from_context(_part(_part(event, "requestContext"), "authorizer"))
    if grant is None:
        raise RequestRefusedError(401, "An API key is required", "send the header x-api-key")
    project = _text(_part(event, "pathParameters"), "project")
    if "project" in route.parameters and not (project and grant.covers(project)):
        detail = f"the key is not good for the project {str(project)[:40]}"
        raise RequestRefusedError(403, "The key does not cover this", detail)
    if not allows(grant, route.operation, route.scope):
        detail = f"{route.method} {route.path} needs the scope {route.scope} or {route.operation}"
        raise RequestRefusedError(403, "The key does not cover this", detail)
    return grant


def _query(event: Mapping[str, Any], route: Route) -> Mapping[str, str]:
    """Return the parameters after the path; one that the route does not know is refused."""
    given = _part(event, "queryStringParameters")
    for name, value in given.items():
        if name not in route.query:
            known = f"; it takes {', '.join(route.query)}" if route.query else ""
            raise _query_fault(f"{str(name)[:40]}: is unknown to this route{known}")
        if not isinstance(value, str):
            raise _query_fault(f"{name}: must be a text")
    return given


def _query_fault(detail: str) -> "RequestRefusedError":
    return RequestRefusedError(400, "The query cannot be read", detail)


def _body(event: Mapping[str, Any]) -> Any:
    if event.get("body") is None:
        return None
    raw = _text(event, "body")
    if raw is None:
        raise RequestRefusedError(400, "The event cannot be read", "its body is no text")
    try:
        data = b64decode(raw, validate=True) if event.get("isBase64Encoded") else raw.encode()
        if len(data) > MAX_BODY_BYTES:
            raise RequestRefusedError(
                413, "The body is too large", f"at most {MAX_BODY_BYTES:,} bytes"
            )
        value = json.loads(data, parse_constant=_refuse_constant)
        # A lone surrogate is no text, and what is above all numbers none.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        return value
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(400, "The body is not JSON", _shown(error)) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _shown(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]


def _problem(error: NoriaError, request_id: str) -> dict[str, Any]:
    status, title = 500, "Internal error"
    if isinstance(error, RequestRefusedError):
        status, title = error.status, error.title
    for kind, code, text in _STATUS:
        if isinstance(error, kind):
            status, title = code, text
            break
    if status >= 500:
        log_event("request_refused", status=status, **error.to_dict())
    is_unexpected = status == 500
    document = {
        "type": f"urn:noria:problem:{type(error).__name__}",
        "title": title,
        "status": status,
        "detail": "the request failed; it was logged" if is_unexpected else error.message,
        "instance": f"urn:noria:request:{request_id}",
    }
    if "errors" in error.details:
        document["errors"] = error.details["errors"]
    answer = _json_answer(status, document, "application/problem+json", request_id)
    if "retry_after" in error.details:
        answer["headers"]["retry-after"] = str(error.details["retry_after"])
    return answer


def _json_answer(
    status: int, body: Mapping[str, Any], content_type: str, request_id: str
) -> dict[str, Any]:
    headers = {
        "content-type": content_type, "cache-control": "no-store", "x-request-id": request_id
    }  # fmt: skip
    if status == 503:
        headers["retry-after"] = "10"
    elif status == 401:
        headers["www-authenticate"] = CHALLENGE
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    text = text.encode("utf-8", "replace").decode()  # a forged path may hold what is no text
    return {"statusCode": status, "headers": headers, "body": text}
