"""What stands before the emulator: web pages that a developer visits must not reach it.

It runs functions as the developer, asks for no signature, and answers every page. A page can send
requests to 127.0.0.1, also under a host name of its own that resolves there.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def guarded(application: Application) -> Application:
    """Return an ASGI application that refuses what comes from elsewhere with a 403 and its reason.

    Elsewhere is: a `Host` that is no loopback name, an `Origin` that is none, or what a browser
    calls `cross-site`. Programs send neither of the last two.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        reason = _refusal(scope) if scope["type"] in ("http", "websocket") else None
        if reason is None:
            await application(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send, reason)

    return guard


def _refusal(scope: Scope) -> str | None:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    for host in headers.get("host", [""]):
        if not _is_loopback(f"//{host}"):
            return f"the host '{host[:100]}' is not this machine; use 127.0.0.1 or localhost"
    for origin in headers.get("origin", []):
        if not _is_loopback(origin):
            return "a web page of another site may not call the emulator"
    if "cross-site" in headers.get("sec-fetch-site", []):
        return "a web page of another site may not call the emulator"
    return None


def _is_loopback(address: str) -> bool:
    try:
        name = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return name in _LOOPBACK or name.endswith(".localhost")


async def _refuse(send: Send, reason: str) -> None:
    body = json.dumps({"title": "Refused", "status": 403, "detail": reason}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
