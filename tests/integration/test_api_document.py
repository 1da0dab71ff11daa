"""A deployed stage answers as its OpenAPI document says; `make fuzz-api` asks all of it."""

import copy
import urllib.request

import pytest

from tests.fuzz.api import run, with_champions
from tests.support.documented import document

pytestmark = pytest.mark.emulator
_OPERATIONS = ("health", "predict", "features", "create_job", "promote")


@pytest.fixture(scope="module")
def served(target):
    """The document of the stage, whose projects have champions."""
    with_champions(target)
    return target.call("GET", "/openapi.json").body


def test_the_stage_serves_the_document_that_the_docs_show(served):
    """With the projects that are deployed."""
    assert served == document()


def test_requests_made_from_the_document_get_answers_that_it_has(target, served):
    """Valid ones, mutated ones, the bounds of every field, and such without a key."""
    tally = run(target, served, 3, _OPERATIONS)
    assert tally.n_failed == 0, tally.report[-5000:]
    assert tally.n_cases > 150


def test_a_document_that_says_something_else_is_caught(target, served):
    """The control: a status that is not documented, and a body that is said to be another."""
    other = copy.deepcopy(served)
    del other["paths"]["/projects/{project}/predict"]["post"]["responses"]["422"]
    other["components"]["schemas"]["ServiceHealth"]["properties"]["status"] = {"type": "number"}
    tally = run(target, other, 3, ("health", "predict"))
    assert "Undocumented HTTP status code" in tally.report
    assert "Response violates schema" in tally.report
    assert tally.n_failed >= 2


def test_every_answer_has_its_request_id(target):
    """Also one of API Gateway's own."""
    request = urllib.request.Request(
        f"{target.api_url}/health", headers={"x-api-key": target.api_key("user")}
    )
    ids = [urllib.request.urlopen(request).headers["x-request-id"] for _ in range(2)]
    assert all(ids)
    assert len(set(ids)) == 2
