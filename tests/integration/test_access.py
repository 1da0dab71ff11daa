"""Who gets in where: every route with every kind of key, on the running stage."""

import json
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError

import pytest
from typer.testing import CliRunner

from cli import keys as commands
from cli.main import app
from noria.access.keys import Wanted, issue, new_value, rotated
from noria.api.routes import ROUTES
from tests.support.documented import require_documented

pytestmark = pytest.mark.emulator
DAY = timedelta(days=1)
NOT_IN = (401, 403)


def _now():
    return datetime.now(UTC)


def _filed(target, *, at=None, **wanted):
    wanted = {"scopes": ("user",), "is_limited": False} | wanted
    new = issue(Wanted("a test", **wanted), at or _now(), [route.operation for route in ROUTES])
    target.access_keys.add(new.key)
    return new


def _revoked(target):
    new = _filed(target, scopes=("admin",))
    target.access_keys.end(new.key.digest, "revoked_at", _now().isoformat(timespec="seconds"))
    return new.value


def _rotated(target, *, which, overlap):
    old = _filed(target, scopes=("admin",))
    new, end = rotated(old.key, _now(), days=1, overlap=overlap)
    target.access_keys.add(new.key)
    target.access_keys.end(old.key.digest, "expires_at", end)
    return old.value if which == "old" else new.value


# Each makes a key that no cache knows: (its value, is a route let in, else the status).
KINDS = {
    "no key": (lambda target: None, lambda route: False, 401),
    "malformed": (lambda target: "noria_x", lambda route: False, 401),
    "a character changed": (lambda target: new_value()[:-1] + "-", lambda route: False, 401),
    "unknown": (lambda target: new_value(), lambda route: False, 401),
    "expired": (
        lambda target: _filed(target, scopes=("admin",), days=1, at=_now() - DAY).value,
        lambda route: False,
        401,
    ),
    "revoked": (_revoked, lambda route: False, 401),
    "rotated, the old one after the overlap": (
        lambda target: _rotated(target, which="old", overlap=timedelta(0)),
        lambda route: False,
        401,
    ),
    "rotated, the old one before its end": (
        lambda target: _rotated(target, which="old", overlap=DAY),
        lambda route: True,
        403,
    ),
    "rotated, the new one": (
        lambda target: _rotated(target, which="new", overlap=timedelta(0)),
        lambda route: True,
        403,
    ),
    "user": (lambda target: _filed(target).value, lambda route: route.scope == "user", 403),
    "admin": (lambda target: _filed(target, scopes=("admin",)).value, lambda route: True, 403),
    "admin of another project": (
        lambda target: _filed(target, scopes=("admin",), projects=("housing",)).value,
        lambda route: "project" not in route.parameters,
        403,
    ),
    "user of this project": (
        lambda target: _filed(target, projects=("housing", "tickets")).value,
        lambda route: route.scope == "user",
        403,
    ),
    "one operation": (
        lambda target: _filed(target, scopes=("predict",)).value,
        lambda route: route.operation == "predict",
        403,
    ),
    "one operation of admins": (
        lambda target: _filed(target, scopes=("history",)).value,
        lambda route: route.operation == "history",
        403,
    ),
}


def _asked(target, route, value):
    """Return (status, body, headers) of a route asked with a body that no operation takes.

    What a path names is called "model": stars in the gateway's policies match slashes too, and a
    key for `…/*/model` must not open `…/trainings/model`.
    """
    path = route.path.replace("{project}", "tickets")
    for name in route.parameters[1:]:
        path = path.replace(f"{{{name}}}", "model")
    body = b'{"no operation": "takes this"}' if route.method == "POST" else None
    headers = {"content-type": "application/json"} | ({"x-api-key": value} if value else {})
    request = urllib.request.Request(target.api_url + path, body, headers, method=route.method)
    for _ in range(40):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read()), answer.headers
        except HTTPError as error:
            if error.code != 429:  # the plan's: all tests share a tier
                return error.code, json.loads(error.read()), error.headers
            time.sleep(0.1)
    raise AssertionError(f"{route.operation} was throttled for 4 s")


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_meant_gets_in(target, kind):
    """Each route, with a key that API Gateway does not know yet and one that it remembers.

    In both orders: what it remembers of a route that is open must not open the next, and what it
    remembers of one that is closed must not close it.
    """
    make, is_let_in, refusal = KINDS[kind]
    n_asked = Counter()
    for order in (ROUTES, ROUTES[::-1]):
        value = make(target)
        for warmth, routes in (("cold first", order), ("warm", order)):
            for route in routes:
                status, body, headers = _asked(target, route, value)
                found = (kind, warmth, route.operation, status, body.get("detail"))
                require_documented(route, status, body)
                if is_let_in(route):
                    assert status not in NOT_IN, found
                    assert status < 500 or status == 503, found
                else:
                    assert status == refusal, found
                    assert headers["content-type"] == "application/problem+json"
                    assert (headers["www-authenticate"] is not None) == (status == 401)
                n_asked[status] += 1
    assert n_asked.total() == 4 * len(ROUTES)


def test_a_key_of_one_project_is_not_told_of_others(target):
    """Neither by health nor by the document."""
    new = _filed(target, projects=("housing",))
    for operation in ("health", "document"):
        route = next(route for route in ROUTES if route.operation == operation)
        status, body, _ = _asked(target, route, new.value)
        assert status == 200
        assert "tickets" not in json.dumps(body)
        assert "housing" in json.dumps(body)


def test_the_limits_of_a_spec_hold_to_one_over_http(target):
    """Tickets take two promotions a minute of a key; the answer says when the next may come."""
    new = _filed(target, scopes=("admin",), is_limited=True)
    path = f"{target.api_url}/projects/tickets/promotions"
    while _now().second > 50:  # all within one minute
        time.sleep(1)
    statuses = []
    for _ in range(4):
        headers = {"x-api-key": new.value, "content-type": "application/json"}
        request = urllib.request.Request(path, b'{"model_version": "x"}', headers)
        with pytest.raises(HTTPError) as caught:
            urllib.request.urlopen(request, timeout=60)
        statuses.append(caught.value.code)
    assert statuses == [422, 422, 429, 429]
    assert 1 <= int(caught.value.headers["retry-after"]) <= 60
    body = json.loads(caught.value.read())
    assert body["detail"] == "at most 2 requests a minute of this key to this route"
    # What was refused before it was counted is in no audit log.
    mine = [entry for entry in target.audit_log.before(None, 20) if new.key.key_id in entry.actor]
    assert [(entry.operation, entry.outcome) for entry in mine] == [
        ("promote", "refused"),
        ("promote", "asked"),
    ] * 2


def _run(target, monkeypatch, *arguments):
    monkeypatch.setattr(commands, "Target", lambda _: target)
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_keys_are_made_replaced_and_ended_by_commands_and_all_of_it_is_written_down(
    target, monkeypatch
):
    """Their values are shown once and are nowhere else."""
    health = next(route for route in ROUTES if route.operation == "health")
    made = _run(target, monkeypatch, "keys", "create", "a desk", "--project", "tickets")
    assert _asked(target, health, made["value"])[0] == 200
    newer = _run(target, monkeypatch, "keys", "rotate", made["key_id"], "--overlap-hours", "1")
    assert newer["replaces"] == made["key_id"]
    assert _asked(target, health, newer["value"])[0] == 200
    _run(target, monkeypatch, "keys", "revoke", newer["key_id"])
    listed = {key["key_id"]: key for key in _run(target, monkeypatch, "keys", "list")}
    assert listed[made["key_id"]]["state"] == "good"
    assert listed[newer["key_id"]]["state"] == "revoked"
    assert listed[made["key_id"]]["last_used_on"] == f"{_now():%Y-%m-%d}"
    entries = _run(target, monkeypatch, "audit", "--limit", "6")
    assert [entry["operation"] for entry in entries] == [
        name for name in ("revoke_key", "rotate_key", "create_key") for _ in range(2)
    ]
    shown = json.dumps([listed, entries])
    assert made["value"] not in shown
    assert newer["value"] not in shown


def test_a_changed_or_missing_entry_of_the_audit_log_is_found(target, monkeypatch):
    """Whoever has rights on the table may write it anew; the bucket remembers."""
    whole = _run(target, monkeypatch, "audit", "--verify")
    assert whole["faults"] == []
    assert whole["n_entries"] == whole["last"]["number"] > 4
    client, table = target.client("dynamodb"), target.outputs["AccessTable"]
    where = {"TableName": table, "Key": {"pk": {"S": "audit"}, "sk": {"S": f"{2:012d}"}}}
    item = client.get_item(**where)["Item"]
    forged = item["body"]["S"].replace('"actor":"', '"actor":"not ')
    client.put_item(TableName=table, Item={**item, "body": {"S": forged}})
    monkeypatch.setattr(commands, "Target", lambda _: target)
    result = CliRunner().invoke(app, ["audit", "--verify"])
    assert result.exit_code == 1
    assert "entry 2 was changed" in result.output
    client.delete_item(**where)
    assert "entries 2 to 2 are missing" in CliRunner().invoke(app, ["audit", "--verify"]).output
    assert not target.artifacts.put("audit/000000000002", b"another hash", if_absent=True)
    client.put_item(TableName=table, Item=item)
    assert _run(target, monkeypatch, "audit", "--verify")["faults"] == []
