"""The OpenAPI document says what the API does; that answers keep to it is tested where they are."""

import json
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator

from noria.api.checks import last_check
from noria.api.openapi.document import api_document
from noria.api.openapi.shapes import SHAPES
from noria.api.routes import ROUTES
from tests.support.checks import drifting, whole_check
from tests.support.documented import document, require_documented, route_of

BY_OPERATION = {route.operation: route for route in ROUTES}


def test_every_route_has_its_shapes_and_is_in_the_document():
    """With its key, its scope, its parameters and what it may answer."""
    assert set(SHAPES) == set(BY_OPERATION)
    paths = document()["paths"]
    assert sum(map(len, paths.values())) == len(ROUTES)
    for route in ROUTES:
        found = paths[route.path][route.method.lower()]
        assert found["operationId"] == route.operation
        assert found["security"] == [{"key": [route.scope]}]
        names = [parameter["name"] for parameter in found["parameters"]]
        assert names == [*route.parameters, *route.query]
        assert {"200", "400", "401", "403", "429", "500", "503"} <= set(found["responses"])


def test_every_schema_is_one_and_every_reference_leads_to_one():
    """Also those of the projects' columns."""
    schemas = document()["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert {"Inputs.housing", "Inputs.tickets", "Prediction", "Problem"} <= set(schemas)
    assert "HeldFinding" not in schemas  # what nothing refers to is left out
    references = [*_references(document())]
    assert len(references) > 200
    assert {reference.rpartition("/")[2] for reference in references} <= set(schemas)


def test_a_project_is_shown_by_its_own_columns():
    """As a schema, and as a row to try."""
    columns = document()["components"]["schemas"]["Inputs.housing"]
    assert columns["properties"]["RM"] == {
        "type": ["number", "null"], "minimum": 3.0, "maximum": 10.0
    }  # fmt: skip
    body = document()["paths"]["/projects/{project}/predict"]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"]
    assert set(examples) == {"customers", "housing", "messages", "tickets"}
    for name, example in examples.items():
        inputs = document()["components"]["schemas"][f"Inputs.{name}"]
        Draft202012Validator(inputs).validate(example["value"]["inputs"])


def test_a_deployment_without_projects_has_a_document():
    """Its routes are the same."""
    assert set(api_document([])["paths"]) == {route.path for route in ROUTES}


@pytest.mark.parametrize("part", ["drift", "metrics", "features", "performance"])
def test_what_a_check_shows_is_documented(part):
    """Whole, and of one window."""
    p, end = drifting()
    whole_check(p, end + timedelta(hours=1))
    for query in ({}, {"window": "short"}) if part in ("drift", "features") else ({},):
        shown = json.loads(json.dumps(last_check(p.store, "loans", part, query)))
        require_documented(BY_OPERATION[part], 200, shown)


def test_another_answer_is_caught():
    """The control: a status, a field, and a type that the document does not have."""
    route = BY_OPERATION["health"]
    fine = {"status": "ok", "projects": {}}
    require_documented(route, 200, fine)
    for status, body in ((418, fine), (200, fine | {"more": 1}), (200, {"status": 7})):
        with pytest.raises(AssertionError):
            require_documented(route, status, body)


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/projects/p/monitoring/drift?window=short", "drift"),
        ("POST", "/projects/p/batch-jobs/j/cancel", "cancel_job"),
        ("GET", "/openapi.json", "document"),
        ("PUT", "/health", None),
        ("GET", "/projects/a/b/model", None),
    ],
)
def test_a_request_is_found_by_its_path(method, path, operation):
    """What the tests of the stack hold answers to."""
    route = route_of(method, path)
    assert (route and route.operation) == operation


def _references(part):
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _references(inner)
