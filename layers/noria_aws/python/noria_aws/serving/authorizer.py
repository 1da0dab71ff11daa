"""API Gateway's authorizer: a key's value in, the policy of all that it may reach out.

Its answer is remembered for a minute, so this runs once a key and minute. It imports what predict
imports and no AWS SDK: a first request waits for both.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from noria.access.grants import to_context
from noria.access.keys import digest_of, is_valid, is_well_formed
from noria.access.policy import policy
from noria.api.routes import ROUTES
from noria.errors import NoriaError
from noria.ports import Clock, KeyLookup
from noria.records.access import AccessKey
from noria_aws.aws.clock import SystemClock
from noria_aws.aws.settings import ACCESS_TABLE, TIER_PREFIX, aws_context, setting
from noria_aws.handlers.runtime import log_event
from noria_aws.serving.access import HttpKeyLookup
from noria_aws.serving.ports import dynamodb

HEADER = "x-api-key"
_SHARED = tuple(sorted({route.path for route in ROUTES if "project" not in route.parameters}))


class UnauthorizedError(Exception):
    """Its text is what API Gateway knows: it makes a 401 of it, and remembers nothing."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class Authorizer:
    """Finds keys and says what they may reach.

    Parameters
    ----------
    tier_prefix : str
        With the key's tier behind it, the API Gateway key whose plan a call counts for.
    """

    def __init__(self, keys: KeyLookup, clock: Clock, tier_prefix: str) -> None:
        self._keys, self._clock, self._tier_prefix = keys, clock, tier_prefix

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return a key's policy; UnauthorizedError of one that opens nothing."""
        value = _value_of(event)
        if value is None or not is_well_formed(value):  # without a look-up
            raise UnauthorizedError
        now = self._clock.now()
        key = self._keys.find(digest_of(value))
        if key is None or not is_valid(key, now):
            log_event("key_refused", key_id=digest_of(value)[:12], is_known=key is not None)
            raise UnauthorizedError
        self._note_use(key, f"{now:%Y-%m-%d}")
        return {
            "principalId": key.key_id,
            "policyDocument": policy(key.grant, str(event["methodArn"]), _SHARED),
            "context": to_context(key.grant),
            "usageIdentifierKey": self._tier_prefix + key.tier,
        }

    def _note_use(self, key: AccessKey, day: str) -> None:
        """Note the day, once a day; who may call does not depend on it."""
        if key.last_used_on == day:
            return
        try:
            self._keys.note_use(key.digest, day)
        except NoriaError as error:
            log_event("use_not_noted", key_id=key.key_id, error=type(error).__name__)


def _value_of(event: Mapping[str, Any]) -> str | None:
    headers = event.get("headers")
    if not isinstance(headers, Mapping):
        return None
    found = [value for name, value in headers.items() if str(name).lower() == HEADER]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else None


@lru_cache(maxsize=1)
def deployed_authorizer() -> Authorizer:
    """Return the authorizer that the function's environment names."""
    keys = HttpKeyLookup(setting(ACCESS_TABLE), dynamodb(aws_context))
    return Authorizer(keys, SystemClock(), setting(TIER_PREFIX))
