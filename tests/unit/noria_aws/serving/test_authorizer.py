import json
from datetime import UTC, datetime

import pytest

from noria.access.grants import from_context
from noria.access.keys import Wanted, issue, new_value
from noria.errors import StoreUnavailableError
from noria_aws.serving.authorizer import Authorizer, UnauthorizedError
from tests.support.access import MemoryAccessKeys
from tests.support.fakes import FixedClock

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARN = "arn:aws:execute-api:us-east-1:1:abc/v1/GET/health"


def _event(value, header="x-api-key"):
    return {"methodArn": ARN, "headers": {header: value}}


def _made(**changes):
    new = issue(Wanted("a desk", ("user",), **changes), AT, ())
    keys = MemoryAccessKeys(new.key)
    return new, keys, Authorizer(keys, FixedClock(AT), "tier-")


@pytest.mark.parametrize("header", ["x-api-key", "X-Api-Key", "X-API-KEY"])
def test_a_good_key_gets_its_policy_and_grant(header):
    """Whatever the case of the header."""
    new, _, authorizer = _made(tier="partner", projects=("tickets",))
    answer = authorizer.answer(_event(new.value, header))
    context = {"principalId": answer["principalId"], **answer["context"]}
    assert from_context(context) == new.key.grant
    assert answer["usageIdentifierKey"] == "tier-partner"
    assert answer["policyDocument"]["Statement"][0]["Resource"][0].endswith("/*/projects/tickets/*")
    assert new.value not in json.dumps(answer)


@pytest.mark.parametrize(
    "event",
    [
        {"methodArn": ARN},
        {"methodArn": ARN, "headers": None},
        {"methodArn": ARN, "headers": {"x-api-key": None}},
        {"methodArn": ARN, "headers": {"x-api-key": new_value(), "X-Api-Key": new_value()}},
        _event(""),
        _event("noria_"),
        _event("x" * 10_000),
        _event(new_value()[:-1]),
    ],
)
def test_what_is_no_key_is_refused_without_a_look_up(event):
    """With the one text that API Gateway makes a 401 of."""
    _, keys, authorizer = _made()
    with pytest.raises(UnauthorizedError, match=r"^Unauthorized$"):
        authorizer.answer(event)
    assert keys.n_looked_up == 0


@pytest.mark.parametrize("field", ["revoked_at", "expires_at"])
def test_a_key_that_opens_nothing_any_more_is_refused(field, capsys):
    """The log names it, without its value."""
    new, keys, authorizer = _made()
    keys.end(new.key.digest, field, "2026-03-01T11:59:59+00:00")
    with pytest.raises(UnauthorizedError):
        authorizer.answer(_event(new.value))
    (line,) = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    assert (logged["event"], logged["key_id"]) == ("key_refused", new.key.key_id)
    assert new.value not in line


def test_an_unknown_key_is_refused_after_one_look_up(capsys):
    """It is well-formed."""
    _, keys, authorizer = _made()
    value = new_value()
    with pytest.raises(UnauthorizedError):
        authorizer.answer(_event(value))
    assert keys.n_looked_up == 1
    assert value not in capsys.readouterr().err


def test_the_day_of_use_is_noted_once_and_its_failure_keeps_nobody_out(capsys):
    """One write a key and day."""
    new, keys, authorizer = _made()
    written = []

    def note(digest, day):
        written.append(day)
        MemoryAccessKeys.note_use(keys, digest, day)

    keys.note_use = note
    for _ in range(3):
        authorizer.answer(_event(new.value))
    assert written == ["2026-03-01"]
    assert keys.find(new.key.digest).last_used_on == "2026-03-01"

    def fail(digest, day):
        raise StoreUnavailableError("gone")

    new, keys, authorizer = _made()
    keys.note_use = fail
    assert authorizer.answer(_event(new.value))["principalId"] == new.key.key_id
    assert "use_not_noted" in capsys.readouterr().err
