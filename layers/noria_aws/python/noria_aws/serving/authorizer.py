"""API Gateway's authorizer: a key's value or a token in, the policy of all that it may reach out.

API Gateway remembers the answer for a minute, so this runs once a key and minute. With an issuer of
tokens it cannot (it would need both headers), and each process remembers instead. It imports what
predict imports and no AWS SDK: a first request waits for both.
"""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from noria.access.grants import to_context
from noria.access.keys import digest_of, is_valid, is_well_formed
from noria.access.policy import policy
from noria.api.routes import ROUTES
from noria.errors import NoriaError, TokenRefusedError
from noria.ports import Clock, KeyLookup
from noria.records.access import AccessKey, Grant
from noria_aws.aws.clock import SystemClock
from noria_aws.aws.settings import (
    ACCESS_TABLE,
    JWT_AUDIENCE,
    JWT_ISSUER,
    JWT_SCOPE_CLAIM,
    TIER_PREFIX,
    aws_context,
    optional_setting,
    setting,
)
from noria_aws.handlers.runtime import log_event
from noria_aws.serving.access import HttpKeyLookup
from noria_aws.serving.ports import dynamodb

if TYPE_CHECKING:
    from noria.access.tokens import Expected
    from noria_aws.serving.issuer import Issuer

HEADER, TOKEN_HEADER = "x-api-key", "authorization"
_BEARER = "bearer "
_REMEMBERED, _MOST_REMEMBERED = timedelta(seconds=60), 1000
_SHARED = tuple(sorted({route.path for route in ROUTES if "project" not in route.parameters}))


class UnauthorizedError(Exception):
    """Its text is what API Gateway knows: it makes a 401 of it, and remembers nothing."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class Tokens(NamedTuple):
    """Whose tokens are taken beside keys."""

    issuer: "Issuer"
    expected: "Expected"


class Authorizer:
    """Finds keys, verifies tokens, and says what they may reach.

    Parameters
    ----------
    tier_prefix : str
        With the key's tier behind it, the API Gateway key whose plan a call counts for.
    tokens : Tokens, optional
        None: keys alone are taken.
    """

    def __init__(
        self, keys: KeyLookup, clock: Clock, tier_prefix: str, tokens: Tokens | None = None
    ) -> None:
        self._keys, self._clock, self._tier_prefix = keys, clock, tier_prefix
        self._tokens = tokens
        self._known: OrderedDict[str, tuple[datetime, Grant, str]] = OrderedDict()

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return a caller's policy; UnauthorizedError of one that opens nothing."""
        value, now = _header(event, HEADER), self._clock.now()
        token = _header(event, TOKEN_HEADER) if self._tokens else None
        if value is not None:
            grant, tier = self._of_key(value, now)
        elif self._tokens and token and token[: len(_BEARER)].lower() == _BEARER:
            grant, tier = self._of_token(token[len(_BEARER) :].strip(), self._tokens, now)
        else:
            raise UnauthorizedError
        return {
            "principalId": grant.key_id,
            "policyDocument": policy(grant, str(event["methodArn"]), _SHARED),
            "context": to_context(grant),
            "usageIdentifierKey": self._tier_prefix + tier,
        }

    def _of_key(self, value: str, now: datetime) -> tuple[Grant, str]:
        if not is_well_formed(value):  # without a look-up
            raise UnauthorizedError
        digest = digest_of(value)
        if self._tokens and (known := self._remembered(digest, now)):
            return known
        key = self._keys.find(digest)
        if key is None or not is_valid(key, now):
            log_event("key_refused", key_id=digest[:12], is_known=key is not None)
            raise UnauthorizedError
        self._note_use(key, f"{now:%Y-%m-%d}")
        return self._remember(digest, now, key.grant, key.tier)

    def _of_token(self, token: str, tokens: Tokens, now: datetime) -> tuple[Grant, str]:
        from noria.access.tokens import key_id_of, verified_grant  # where there is an issuer

        try:
            key = tokens.issuer.key(key_id_of(token), now)
            grant = verified_grant(token, key, tokens.expected, now)
        except TokenRefusedError as error:
            log_event("token_refused", reason=error.message)
            raise UnauthorizedError from error
        return grant, "admin" if "admin" in grant.scopes else "user"

    def _remembered(self, digest: str, now: datetime) -> tuple[Grant, str] | None:
        found = self._known.get(digest)
        return (found[1], found[2]) if found and now < found[0] else None

    def _remember(self, digest: str, now: datetime, grant: Grant, tier: str) -> tuple[Grant, str]:
        self._known[digest] = (now + _REMEMBERED, grant, tier)
        self._known.move_to_end(digest)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        return grant, tier

    def _note_use(self, key: AccessKey, day: str) -> None:
        """Note the day, once a day; who may call does not depend on it."""
        if key.last_used_on == day:
            return
        try:
            self._keys.note_use(key.digest, day)
        except NoriaError as error:
            log_event("use_not_noted", key_id=key.key_id, error=type(error).__name__)


def _header(event: Mapping[str, Any], wanted: str) -> str | None:
    """Return a header, whatever its case; None where it stands twice."""
    headers = event.get("headers")
    if not isinstance(headers, Mapping):
        return None
    found = [value for name, value in headers.items() if str(name).lower() == wanted]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else None


@lru_cache(maxsize=1)
def deployed_authorizer() -> Authorizer:
    """Return the authorizer that the function's environment names."""
    keys = HttpKeyLookup(setting(ACCESS_TABLE), dynamodb(aws_context))
    return Authorizer(keys, SystemClock(), setting(TIER_PREFIX), _tokens())


def _tokens() -> Tokens | None:
    address = optional_setting(JWT_ISSUER)
    if address is None:
        return None
    from noria.access.tokens import Expected  # a start without an issuer needs neither
    from noria_aws.serving.issuer import Issuer

    expected = Expected(address, setting(JWT_AUDIENCE), setting(JWT_SCOPE_CLAIM))
    return Tokens(Issuer(address), expected)
