"""The emulator answers programs of this machine and no page of another site."""

from contextlib import suppress

import pytest

from infra.local.guard import guarded


def _run(coroutine):
    """Run what waits for nothing: an event loop would open a socket."""
    with suppress(StopIteration):
        coroutine.send(None)


def _status(kind="http", **headers):
    """Return what a request gets; 200 where it came through."""
    sent = []

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "headers": named}
    _run(guarded(application)(scope, None, send))
    return sent[0].get("status", sent[0]["type"])


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4566", "localhost:4566", "[::1]:4566", "data.s3.localhost:4566"]
)
def test_programs_of_this_machine_come_through(host):
    """boto3, the CDK and curl send no Origin; a page that the emulator serves names its own."""
    assert _status(host=host) == 200
    assert _status(host=host, origin="http://127.0.0.1:4566", sec_fetch_site="same-origin") == 200
    assert _status(host=host, sec_fetch_site="none") == 200
    assert _status(kind="lifespan") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:4566"},
        {"host": "localhost.evil.example"},
        {"host": "[::1"},
        {},
        {"host": "127.0.0.1", "origin": "https://evil.example"},
        {"host": "127.0.0.1", "origin": "null"},
        {"host": "127.0.0.1", "origin": "http://127.0.0.1.evil.example"},
        {"host": "127.0.0.1", "sec_fetch_site": "cross-site"},
    ],
)
def test_pages_of_other_sites_are_refused(headers):
    """Whether they name their origin, or another host that resolves to this machine."""
    assert _status(**headers) == 403
    assert _status(kind="websocket", **headers) == "websocket.close"


def test_two_hosts_must_both_be_of_this_machine():
    """The second one is what some servers read."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"Host", b"localhost"), (b"Host", b"evil.example")]}
    _run(guarded(lambda *_: None)(scope, None, send))
    assert sent[0]["status"] == 403
