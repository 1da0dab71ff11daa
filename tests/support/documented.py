"""Answers of the API held to its OpenAPI document: status, and the body by its schema."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from infra.names import SPECS
from noria.api.openapi.document import api_document
from noria.api.routes import ROUTES, Route
from noria.spec.loader import load_spec


@cache
def document() -> dict[str, Any]:
    """Return the document of the shipped projects."""
    return api_document(load_spec(path) for path in sorted(SPECS.glob("*.toml")))


def route_of(method: str, path: str) -> Route | None:
    """Return the route of a request; None where there is none."""
    for route in ROUTES:
        pattern = re.sub(r"\\{\w+\\}", "[^/]*", re.escape(route.path))
        if route.method == method and re.fullmatch(pattern, path.partition("?")[0]):
            return route
    return None


def require_documented(route: Route, status: int, body: Any) -> None:
    """Raise AssertionError where an answer is none that the document has for the route."""
    found = document()["paths"][route.path][route.method.lower()]["responses"]
    assert str(status) in found, f"{route.operation}: {status} is not documented: {body}"
    (content,) = found[str(status)]["content"].values()
    faults = [_told(error) for error in _validator(_key(content["schema"])).iter_errors(body)]
    assert not faults, f"{route.operation}, {status}: {'; '.join(faults)[:1000]}"


def _told(error: Any) -> str:
    return f"{error.json_path}: {error.message}"


def _key(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"])


@cache
def _validator(reference: str) -> Any:
    schema = {"$ref": reference, "components": document()["components"]}
    return Draft202012Validator(schema)
