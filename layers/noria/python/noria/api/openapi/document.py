"""The OpenAPI 3.1 document of the HTTP API, made of its routes, its shapes and the specs' columns."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from noria.api.audit import MAX_ENTRIES, MAX_NUMBER
from noria.api.checks import DATE, MAX_DEVIATIONS
from noria.api.openapi.answers import Problem
from noria.api.openapi.shapes import SHAPES, Derived
from noria.api.routes import ROUTES, Route
from noria.spec.model import ProjectSpec

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_KEY = "key"  # the security scheme
_JSON, _PROBLEM = "application/json", "application/problem+json"
_DESCRIPTION = """Predictions from the champion of each project, and what keeps it good.

Send the header `x-api-key`. A key has the scope `user` or `admin`, or names single operations; an
admin key may call all routes. It is good for all projects or for some. Where the deployment names
an issuer of tokens, `Authorization: Bearer …` with one of its tokens does as well.
Every answer has the header `x-request-id`: name it where you ask for help."""
_PARAMETERS: Mapping[str, tuple[Schema, str]] = {
    "project": ({"type": "string"}, "Name of a deployed project"),
    "job_id": ({"type": "string"}, "Id of a batch job"),
    "check_id": ({"type": "string"}, "Id of a check"),
    "run_id": ({"type": "string"}, "Id of a training run"),
    "window": ({"enum": ["short", "long"]}, "Tests of this window alone"),
    "date": ({"type": "string", "pattern": f"^{DATE.pattern}$"}, "That day, not the last one"),
    "before": (
        {"type": "integer", "minimum": 1, "maximum": MAX_NUMBER},
        "Entries below this number",
    ),
    "limit": ({"type": "integer", "minimum": 1, "maximum": MAX_ENTRIES}, "How many are looked at"),
    "threshold": (
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": MAX_DEVIATIONS},
        "Say which means have moved by more deviations",
    ),
}
_EVERYWHERE = {
    400: "The query or the body cannot be read",
    401: "No key, or one that is unknown, revoked or past its end",
    403: "The key does not cover this route or project",
    429: "More requests than the key may send a minute, or its tier a second or a day",
    500: "The request failed; it was logged",
    503: "A store did not answer, or the project has no champion that can answer",
    504: "The answer took too long",
}
_WITH_PROJECT = {404: "There is no such project, job, check or run, or nothing to show yet"}
_WITH_BODY = {413: "The body is too large"}
_WITH_FIELDS = {422: "A field cannot be taken; `errors` names each with its reason"}
_MOVING = {409: "The champion has changed meanwhile, or no approval is waited for"}
_MOVES = ("promote", "roll_back", "answer_approval")


def api_document(specs: Iterable[ProjectSpec]) -> Schema:
    """Return the document of a deployment.

    Parameters
    ----------
    specs : iterable of ProjectSpec
        Of the deployed projects: their columns become schemas and examples.
    """
    deployed = sorted(specs, key=lambda spec: spec.name)
    schemas: dict[str, Schema] = {}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    _name_projects(paths, [spec.name for spec in deployed])
    if deployed:
        body = paths["/projects/{project}/predict"]["post"]["requestBody"]
        body["content"][_JSON]["examples"] = {spec.name: _example(spec) for spec in deployed}
    _schema(Problem, schemas, "validation")
    schemas = _used(paths, schemas)
    schemas |= {f"Inputs.{spec.name}": _inputs(spec) for spec in deployed}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Noria", "version": "1", "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {_KEY: {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    }


def _operation(route: Route, schemas: dict[str, Schema]) -> Schema:
    shapes = SHAPES[route.operation]
    made: Schema = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.scope],
        "security": [{_KEY: [route.scope]}],
        "parameters": [
            *(_parameter(name, "path") for name in route.parameters),
            *(_parameter(name, "query") for name in route.query),
        ],
    }
    if shapes.request is not None:
        schema = _schema(shapes.request, schemas, "validation")
        if not shapes.needs_body:
            schema = {"anyOf": [schema, {"type": "null"}]}
        made["requestBody"] = {
            "required": shapes.needs_body,
            "content": {_JSON: {"schema": schema}},
        }
    answer = _schema(shapes.answer, schemas, "serialization")
    statuses = _statuses(route, has_body=shapes.request is not None)
    return made | {
        "responses": {
            "200": _response("The answer", _JSON, answer),
            **{str(code): _problem(code, text) for code, text in sorted(statuses.items())},
        }
    }


def _statuses(route: Route, *, has_body: bool) -> dict[int, str]:
    found = dict(_EVERYWHERE)
    found |= _WITH_PROJECT if "project" in route.parameters else {}
    found |= _WITH_BODY | _WITH_FIELDS if has_body else {}
    found |= _WITH_FIELDS if route.query else {}
    found |= _MOVING if route.operation in _MOVES else {}
    return found


def _response(text: str, content_type: str, schema: Schema) -> Schema:
    headers = {"x-request-id": {"schema": {"type": "string"}, "required": True}}
    content = {content_type: {"schema": schema}}
    return {"description": text, "headers": headers, "content": content}


def _problem(code: int, text: str) -> Schema:
    made = _response(text, _PROBLEM, {"$ref": _REF.format(model="Problem")})
    if code == 401:
        made["headers"]["www-authenticate"] = {"schema": {"type": "string"}, "required": True}
    if code == 429:
        made["headers"]["retry-after"] = {
            "description": "Seconds to wait; a tier's limits of API Gateway do not say it",
            "schema": {"type": "string"},
        }
    return made


def _parameter(name: str, place: str) -> Schema:
    schema, text = _PARAMETERS[name]
    is_required = place == "path"
    return {
        "name": name, "in": place, "required": is_required, "schema": schema, "description": text
    }  # fmt: skip


def _name_projects(paths: Mapping[str, Any], names: Sequence[str]) -> None:
    """Say which projects the paths may name."""
    for operations in paths.values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["name"] == "project" and names:
                    parameter["schema"] = {"type": "string", "enum": [*names]}


def _used(paths: Any, schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the schemas that paths refer to, and those that these refer to."""
    found: dict[str, Schema] = {}
    left = [*_references(paths)]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = schemas[name]
            left += _references(found[name])
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(reference := part.get("$ref"), str):
            yield reference.rpartition("/")[2]
        part = [*part.values()]
    if isinstance(part, list):
        for inner in part:
            yield from _references(inner)


# Schemas of types.


class _AsShown(GenerateJsonSchema):
    """Named tuples are shown as objects, and every field of a record is."""

    def named_tuple_schema(self, schema: core_schema.NamedTupleSchema) -> JsonSchemaValue:
        """Return the schema of a named tuple as `_asdict` shows it."""
        fields = super().named_tuple_schema(schema)["prefixItems"]
        names = [field["name"] for field in schema["fields"]]
        return {
            "type": "object",
            "title": schema["cls"].__name__,
            "description": inspect.getdoc(schema["cls"]),
            "properties": dict(zip(names, fields, strict=True)),
            "required": names,
        }


def _schema(kind: Any, schemas: dict[str, Schema], mode: Any) -> Schema:
    """Return a type's schema, a reference where it has a name; add what it refers to."""
    if isinstance(kind, Derived):
        return _derived(kind, schemas)
    made = TypeAdapter(kind).json_schema(mode=mode, ref_template=_REF, schema_generator=_AsShown)
    schemas |= {name: _closed(part) for name, part in made.pop("$defs", {}).items()}
    if made.get("type") != "object":
        return made
    name = made["title"]
    schemas[name] = _closed(made)
    return {"$ref": _REF.format(model=name)}


def _derived(kind: Derived, schemas: dict[str, Schema]) -> Schema:
    own: dict[str, Schema] = {}
    base, more = (
        own[_schema(part, own, "serialization")["$ref"].rpartition("/")[2]]
        for part in (kind.record, kind.more)
    )
    fields = {name: of for name, of in base["properties"].items() if name not in kind.without}
    fields |= more["properties"]
    required = [name for name in fields if name in {*base["required"], *more["required"]}]
    for part in (base, more):
        del own[part["title"]]
    schemas |= own
    schemas[kind.name] = {
        "title": kind.name,
        "type": "object",
        "description": base["description"],
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }
    return {"$ref": _REF.format(model=kind.name)}


def _closed(schema: Schema) -> Schema:
    """Return an object's schema that takes no other keys, where it does not say otherwise."""
    if schema.get("type") == "object" and "properties" in schema:
        return {"additionalProperties": False} | schema
    return schema


# What the specs say.


def _inputs(spec: ProjectSpec) -> Schema:
    """Return what a row of a project may hold; numbers and texts of numbers are read alike."""
    columns = spec.dataset.columns
    return {
        "title": f"Inputs of {spec.name}",
        "type": "object",
        "description": spec.project.description,
        "properties": {name: _column(column) for name, column in columns.items()},
        "required": [name for name, column in columns.items() if column.required],
    }


def _column(column: Any) -> Schema:
    if column.type == "number":
        bounds = {"minimum": column.min, "maximum": column.max}
        known = {key: bound for key, bound in bounds.items() if bound is not None}
        return {"type": ["number", "null"], **known}
    if column.type == "time":
        return {"type": ["string", "null"], "format": "date-time"}
    return {"type": ["string", "null"], "maxLength": column.max_length}


def _example(spec: ProjectSpec) -> Schema:
    """Return a request with a value for each column that is not optional."""
    columns = spec.dataset.columns.items()
    shown = {name: _value(column) for name, column in columns if not column.optional}
    return {"summary": spec.project.description, "value": {"inputs": shown}}


def _value(column: Any) -> Any:
    if column.type == "number":
        low, high = column.min, column.max
        if low is not None and high is not None:
            return (low + high) / 2
        return high if low is None and high is not None else max(low or 0.0, 1.0)
    return "2026-01-31T12:00:00+00:00" if column.type == "time" else "text"
