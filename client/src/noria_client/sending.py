"""What a client does with an answer: read it, or say when to try again. No I/O."""

import random
from collections.abc import Mapping
from typing import Any

import httpx

from noria_client.calls import Call
from noria_client.errors import NoriaError
from noria_client.shapes import Answer

ENDED = frozenset({"completed", "held", "rejected", "cancelled", "failed"})  # states of a job
_AGAIN = frozenset({429, 503})  # nothing was done: the same request may be sent again
_AGAIN_IF_REPEATABLE = frozenset({500, 502, 504})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 20.0  # seconds
_FIRST_LOOK, _SELDOMEST_LOOK = 1.0, 15.0  # seconds between two looks at a job


def request_of(call: Call, api_key: str) -> dict[str, Any]:
    """Return httpx's arguments of a call."""
    return {
        "method": call.method,
        "url": call.path.lstrip("/"),
        "json": call.body if call.method == "POST" else None,
        "params": dict(call.query),
        "headers": {"x-api-key": api_key},
    }


def pause_of(call: Call, answer: httpx.Response | None, n_tries: int) -> float | None:
    """Return the seconds to wait before another try; None where none is due.

    Parameters
    ----------
    answer : httpx.Response or None
        None where no answer came: then only what may be repeated is.
    n_tries : int
        So far, from 1. The pause doubles, with jitter; Retry-After is at least kept.
    """
    if answer is None:
        is_due = call.is_repeatable
    else:
        status = answer.status_code
        is_due = status in _AGAIN or (call.is_repeatable and status in _AGAIN_IF_REPEATABLE)
    if not is_due:
        return None
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (n_tries - 1))
    asked = answer.headers.get("retry-after", "") if answer is not None else ""
    return max(pause * random.uniform(0.5, 1.0), float(asked) if asked.isdigit() else 0.0)


def answer_of(answer: httpx.Response) -> Answer:
    """Return the body of an answer; NoriaError for a problem."""
    try:
        body = answer.json()
    except ValueError:
        body = {"detail": answer.text[:500]}
    if answer.status_code == 200:
        found: Answer = body
        return found
    known: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    raise NoriaError(
        answer.status_code,
        str(known.get("title", answer.reason_phrase)),
        str(known.get("detail", known.get("message", ""))),
        known.get("errors", ()),
        answer.headers.get("x-request-id"),
    )


def next_look(seconds: float) -> float:
    """Return how long to wait before the next look at a job that was waited for so long."""
    return min(_SELDOMEST_LOOK, max(_FIRST_LOOK, seconds / 10.0))
