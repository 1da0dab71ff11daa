import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from noria.access.grants import from_context
from noria.access.keys import Wanted, issue
from noria.access.tokens import Expected
from noria.errors import StoreUnavailableError, TokenRefusedError
from noria_aws.serving import issuer as issuers
from noria_aws.serving.authorizer import Authorizer, Tokens, UnauthorizedError
from noria_aws.serving.issuer import Issuer, fetched
from tests.support.access import MemoryAccessKeys
from tests.support.fakes import FixedClock

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESS = "https://login.example.org/pool"
ARN = "arn:aws:execute-api:us-east-1:1:abc/v1/GET/health"


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def _private(name):
    return rsa.generate_private_key(65537, 2048)


class _Web:
    """An issuer's pages; counts who asks."""

    def __init__(self, *names):
        self.names, self.asked, self.is_up = names, [], True

    def __call__(self, address):
        self.asked.append(address)
        if not self.is_up:
            raise OSError("gone")
        if address == f"{ADDRESS}/.well-known/openid-configuration":
            return json.dumps({"jwks_uri": "https://keys.example.org/k"}).encode()
        assert address == "https://keys.example.org/k"
        keys = []
        for name in self.names:
            numbers = _private(name).public_key().public_numbers()
            keys.append(
                {"kty": "RSA", "kid": name, "n": _b64(numbers.n.to_bytes(256)), "e": "AQAB"}
            )
        return json.dumps({"keys": keys}).encode()


def test_keys_are_fetched_once_an_hour():
    """Two pages each time."""
    web = _Web("a")
    issuer = Issuer(ADDRESS, web)
    for minutes in (0, 1, 30, 59):
        assert issuer.key("a", AT + timedelta(minutes=minutes))
    assert len(web.asked) == 2
    assert issuer.key("a", AT + timedelta(minutes=61))
    assert len(web.asked) == 4


def test_a_new_key_is_found_and_made_up_ones_ask_once_a_minute():
    """An issuer changes its keys; nobody makes us flood it."""
    web = _Web("a")
    issuer = Issuer(ADDRESS, web)
    issuer.key("a", AT)
    web.names = ("a", "b")
    for second in range(59):
        with pytest.raises(TokenRefusedError):
            issuer.key("b", AT + timedelta(seconds=second))
    assert len(web.asked) == 2
    assert issuer.key("b", AT + timedelta(seconds=60))
    assert len(web.asked) == 4


def test_an_issuer_that_does_not_answer_is_told_and_known_keys_still_hold():
    """Fail closed, but not for what is known."""
    web = _Web("a")
    web.is_up = False
    issuer = Issuer(ADDRESS, web)
    with pytest.raises(StoreUnavailableError):
        issuer.key("a", AT)
    web.is_up = True
    assert issuer.key("a", AT + timedelta(seconds=1))
    web.is_up = False
    assert issuer.key("a", AT + timedelta(hours=2))


@pytest.mark.parametrize("page", [b"[", b"[]", b"{}", b'{"jwks_uri": 7}'])
def test_pages_that_are_none_are_no_keys(page):
    """Whatever they hold."""
    with pytest.raises(StoreUnavailableError):
        Issuer(ADDRESS, lambda _: page).key("a", AT)


@pytest.mark.parametrize(
    "address", ["http://login.example.org/x", "file:///etc/passwd", "ftp://a/b", "https:///x", "x"]
)
def test_only_https_is_fetched(monkeypatch, address):
    """The issuer's page names where its keys are."""
    monkeypatch.setattr(issuers, "HTTPConnection", None)
    monkeypatch.setattr(issuers, "HTTPSConnection", None)
    with pytest.raises(ValueError, match="https"):
        fetched(address)


def _token(name="a", **changes):
    claims = {"iss": ADDRESS, "aud": "noria", "sub": "anna", "exp": AT.timestamp() + 300,
              "scope": "noria:admin", **changes}  # fmt: skip
    header = {"alg": "RS256", "kid": name}
    message = ".".join(_b64(json.dumps(part).encode()) for part in (header, claims))
    signed = _private(name).sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{message}.{_b64(signed)}"


def _authorizer(web, *keys):
    store = MemoryAccessKeys(*keys)
    tokens = Tokens(Issuer(ADDRESS, web), Expected(ADDRESS, "noria"))
    return Authorizer(store, FixedClock(AT), "tier-", tokens), store


def _event(**headers):
    return {"methodArn": ARN, "headers": headers}


def test_a_token_opens_what_its_scopes_say():
    """Whatever the case of the header and its first word."""
    for header in ("Bearer ", "bearer ", "BEARER  "):
        authorizer, _ = _authorizer(_Web("a"))
        answer = authorizer.answer(_event(Authorization=header + _token()))
        grant = from_context({"principalId": answer["principalId"], **answer["context"]})
        assert (grant.key_id, grant.scopes) == ("jwt:anna", ("admin",))
        assert answer["usageIdentifierKey"] == "tier-admin"


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic YTpi", f"Bearer {_token('b')}", f"Bearer {_token()}x",
     f"Bearer {_token(exp=1)}", _token()],
)  # fmt: skip
def test_what_is_no_right_token_is_refused(value, capsys):
    """And not written down."""
    authorizer, _ = _authorizer(_Web("a"))
    with pytest.raises(UnauthorizedError):
        authorizer.answer(_event(authorization=value))
    assert _token().split(".")[1] not in capsys.readouterr().err


def test_a_bad_key_is_not_saved_by_a_good_token():
    """One of both is meant: the key."""
    authorizer, _ = _authorizer(_Web("a"))
    with pytest.raises(UnauthorizedError):
        authorizer.answer(_event(**{"x-api-key": "noria_x", "authorization": f"Bearer {_token()}"}))


def test_without_an_issuer_no_token_is_looked_at():
    """Keys alone."""
    authorizer = Authorizer(MemoryAccessKeys(), FixedClock(AT), "tier-")
    with pytest.raises(UnauthorizedError):
        authorizer.answer(_event(authorization=f"Bearer {_token()}"))


def test_a_process_remembers_a_key_for_a_minute_where_api_gateway_cannot():
    """And a thousand of them at most."""
    new = issue(Wanted("a desk", ("user",)), AT, ())
    authorizer, store = _authorizer(_Web("a"), new.key)
    for _ in range(3):
        authorizer.answer(_event(**{"x-api-key": new.value}))
    assert store.n_looked_up == 1
    authorizer._clock = FixedClock(AT + timedelta(seconds=60))
    authorizer.answer(_event(**{"x-api-key": new.value}))
    assert store.n_looked_up == 2
    for _ in range(1010):
        more = issue(Wanted("a desk", ("user",)), AT, ())
        store.add(more.key)
        authorizer.answer(_event(**{"x-api-key": more.value}))
    assert len(authorizer._known) == 1000
