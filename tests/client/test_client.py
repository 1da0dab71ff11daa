"""The client sends what the API's document has, and tries again only what may be."""

import asyncio
import inspect
import json
import re
import subprocess
import sys
import traceback

import httpx
import pytest
from noria_client import AsyncNoria, JobFailedError, Noria, NoriaError, calls, shapes
from noria_client.calls import Call
from noria_client.sending import next_look, pause_of

from infra.names import ROOT
from noria.api.routes import ROUTES
from tests.support.documented import document

OPERATIONS = {route.operation: route for route in ROUTES}
SENT = {"project": "p/x", "inputs": {"a": 1}, "rows": [{"a": 1}], "label": 1, "record_id": "r",
        "labels": {"r": 1}, "job_id": "j", "check_id": "c", "run_id": "r", "filename": "a.csv",
        "model_version": "v", "reason": "why", "from_": "v1", "approve": True}  # fmt: skip


def _made(name):
    """Return a call of an operation, with what it must be given."""
    function = getattr(calls, name)
    wanted = {
        key: SENT[key]
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty
        or (name == "feedback" and key == "record_id")
    }
    return function(**wanted)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_sent_as_the_document_has_it(operation):
    """Method, path, query parameters and fields of the body."""
    route, call = OPERATIONS[operation], _made(operation)
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route.path))
    assert call.method == route.method
    assert re.fullmatch(pattern, call.path)
    assert "p/x" not in call.path  # names are quoted
    described = document()["paths"][route.path][route.method.lower()]
    given = set(inspect.signature(getattr(calls, operation)).parameters)
    assert set(route.query) <= given
    if call.body is not None:
        schema = json.dumps(described["requestBody"])
        names = re.findall(r"#/components/schemas/([\w.]+)", schema)
        fields = {
            field
            for name in names
            for field in document()["components"]["schemas"][name]["properties"]
        }
        assert set(call.body) <= fields


@pytest.mark.parametrize("shape", ["Prediction", "Predictions", "FiledLabels", "Job"])
def test_shapes_name_only_what_the_document_has(shape):
    """What a caller reads by name is there."""
    fields = set(getattr(shapes, shape).__annotations__)
    assert fields <= set(document()["components"]["schemas"][shape]["properties"])


def _client(*answers, **settings):
    """Return a client whose requests get the answers in turn, and the requests."""
    requests, left = [], [*answers]

    def answer(request):
        requests.append(request)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    transport = httpx.MockTransport(answer)
    return Noria("http://noria/v1/", "k", transport=transport, **settings), requests


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """The pauses that were made, without making them."""
    pauses = []
    monkeypatch.setattr("noria_client.client.time.sleep", pauses.append)
    return pauses


def test_a_row_is_sent_with_the_key_and_its_answer_is_returned():
    """To the deployment's own path."""
    client, requests = _client(httpx.Response(200, json={"prediction": "yes"}))
    with client:
        assert client.predict("p", {"a": 1}, explain=3)["prediction"] == "yes"
    (request,) = requests
    assert str(request.url) == "http://noria/v1/projects/p/predict"
    assert request.headers["x-api-key"] == "k"
    assert json.loads(request.content) == {"inputs": {"a": 1}, "explain": 3}


def test_a_problem_is_an_error_with_its_fields_and_request_id():
    """What a person needs to mend the request, or to ask for help."""
    problem = {"title": "no", "detail": "d", "errors": [{"field": "a", "reason": "bad"}]}
    client, _ = _client(httpx.Response(422, json=problem, headers={"x-request-id": "r1"}))
    with pytest.raises(NoriaError, match="422 no: a: bad") as caught:
        client.predict("p", {})
    assert (caught.value.errors, caught.value.request_id) == (problem["errors"], "r1")
    client, _ = _client(httpx.Response(502, text="<html>"), tries=1)
    with pytest.raises(NoriaError, match="502"):
        client.send(calls.health())


def test_later_is_tried_later(slept):
    """429 and 503, after Retry-After, at most so often."""
    client, requests = _client(
        httpx.Response(429, headers={"retry-after": "7"}, json={}),
        httpx.Response(503, json={}),
        httpx.Response(200, json={"prediction": 1.0}),
    )
    assert client.predict("p", {})["prediction"] == 1.0
    assert len(requests) == 3
    assert slept[0] >= 7.0 > slept[1]
    client, requests = _client(*[httpx.Response(503, json={"title": "down"})] * 9)
    with pytest.raises(NoriaError, match="down"):
        client.predict("p", {})
    assert len(requests) == 4


def test_what_may_have_been_done_is_not_sent_again():
    """An answer that is lost may be of a promotion; to look again harms nothing."""
    lost = httpx.ReadTimeout("lost")
    client, requests = _client(lost)
    with pytest.raises(NoriaError, match="no answer"):
        client.send(calls.promote("p", "v", "why"))
    assert len(requests) == 1
    client, requests = _client(lost, httpx.Response(504, json={}), httpx.Response(200, json={}))
    client.send(calls.health())
    assert len(requests) == 3
    assert pause_of(calls.predict("p", {}), httpx.Response(504), 1) is None


def test_pauses_grow_and_end():
    """With jitter, so that many clients do not come back together."""
    pauses = [pause_of(Call("GET", "/"), None, n) for n in range(1, 12)]
    assert 0.25 <= pauses[0] <= 0.5
    assert max(pauses) <= 20.0
    assert [next_look(seconds) for seconds in (0, 50, 10_000)] == [1.0, 5.0, 15.0]


def test_the_awaited_client_sends_the_same():
    """Also what it tries again."""
    answers = [httpx.Response(503, json={}), httpx.Response(200, json={"prediction": 2.0})]
    seen = []

    def answer(request):
        seen.append(request.url.path)
        return answers[len(seen) - 1]

    async def ask():
        transport = httpx.MockTransport(answer)
        async with AsyncNoria("http://noria/v1", "k", transport=transport) as client:
            return await client.predict("p", {})

    assert asyncio.run(ask())["prediction"] == 2.0
    assert seen == ["/v1/projects/p/predict"] * 2


@pytest.mark.parametrize("state", ["held", "rejected", "failed", "cancelled"])
def test_a_job_without_results_says_how_it_ended(state, tmp_path, monkeypatch):
    """The caller's next step depends on it."""
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    put = httpx.Response(200, request=httpx.Request("PUT", "http://s3/x"))
    monkeypatch.setattr(httpx, "put", lambda *_, **__: put)
    created = {"job_id": "j", "upload": {"url": "http://s3/x"}}
    ended = {"job_id": "j", "state": state, "progress": 1.0, "summary": "because"}
    running = {"job_id": "j", "state": "running", "progress": 0.5}
    client, _ = _client(*(httpx.Response(200, json=body) for body in (created, running, ended)))
    seen = []
    with pytest.raises(JobFailedError, match="because") as caught:
        client.score_file("p", path, progress=lambda job: seen.append(job["progress"]))
    assert (caught.value.job["state"], seen) == (state, [0.5, 1.0])


def test_a_link_that_does_not_open_is_told_without_it(tmp_path, monkeypatch):
    """Whoever reads it in a log could use it."""
    link = "http://s3/x.csv?signature=SECRET"

    def refused(*_, **__):
        return httpx.Response(403, request=httpx.Request("PUT", link))

    def lost(*_, **__):
        raise httpx.ConnectError(f"no way to {link}")

    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    for answer, said in ((refused, "403 the upload was refused"), (lost, "0 the upload failed")):
        monkeypatch.setattr(httpx, "put", answer)
        client, _ = _client(httpx.Response(200, json={"job_id": "j", "upload": {"url": link}}))
        with pytest.raises(NoriaError, match=said) as caught:
            client.score_file("p", path)
        assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_what_starts_something_has_an_id_so_that_again_starts_nothing():
    """A 503 may come after it has begun."""
    for name, field in (("start_check", "check_id"), ("start_training", "run_id")):
        first, second = (getattr(calls, name)("p").body[field] for _ in range(2))
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,59}", first)
        assert first != second
        assert getattr(calls, name)("p", **{field: "mine"}).body[field] == "mine"


def test_feedback_names_its_row_once():
    """Both ids, or none, is a mistake of the caller's."""
    for named in ({}, {"prediction_id": "a", "record_id": "b"}):
        with pytest.raises(ValueError, match="one of both"):
            calls.feedback("p", 1, **named)


def test_the_package_is_built_and_imports_nothing_of_noria(tmp_path):
    """Whoever installs it has httpx and no more."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, noria_client; print(*sys.modules)"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "client" / "src")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert not {"noria", "noria_aws", "infra", "cli", "pydantic", "boto3"} & roots
