"""The keys of a token's issuer, fetched and kept for an hour."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from noria.access.tokens import PublicKey, public_keys
from noria.errors import StoreUnavailableError, TokenRefusedError

_KEPT, _ASKED_AGAIN = timedelta(hours=1), timedelta(minutes=1)
_SECONDS, _MOST_BYTES = 3.0, 200_000
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_DISCOVERY = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, section 4


class Issuer:
    """One issuer's public keys.

    Parameters
    ----------
    address : str
        As tokens name it; https, or http on this machine.
    fetch : callable, optional
        Returns the body of an address; for tests.
    """

    def __init__(self, address: str, fetch: Callable[[str], bytes] | None = None) -> None:
        self._address, self._fetch = address, fetch or fetched
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at: datetime | None = None

    def key(self, key_id: str, at: datetime) -> PublicKey:
        """Return a key.

        An unknown id is asked for once a minute at most: whoever makes ids up cannot make this
        function ask the issuer for each of them.

        Raises
        ------
        TokenRefusedError
            The issuer has no such key.
        StoreUnavailableError
            The issuer does not answer, and none of its keys is known.
        """
        age = _KEPT if self._fetched_at is None else at - self._fetched_at
        if age >= _KEPT or (key_id not in self._keys and age >= _ASKED_AGAIN):
            self._refresh(at)
        if key_id not in self._keys:
            raise TokenRefusedError("the issuer has no such key")
        return self._keys[key_id]

    def _refresh(self, at: datetime) -> None:
        try:
            place = _object(self._fetch(self._address.rstrip("/") + _DISCOVERY)).get("jwks_uri")
            if not isinstance(place, str):
                raise ValueError("the issuer's configuration names no keys")
            self._keys = public_keys(_object(self._fetch(place)))
        except (OSError, HTTPException, ValueError) as error:
            if not self._keys:  # else those of an hour ago are better than none
                raise StoreUnavailableError(f"the issuer's keys cannot be read: {error}") from error
        self._fetched_at = at


def _object(body: bytes) -> dict[str, object]:
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def fetched(address: str) -> bytes:
    """Return the body of an address; OSError or ValueError where there is none. No redirects."""
    place = urlsplit(address)
    is_local = place.scheme == "http" and place.hostname in _LOOPBACK
    if (place.scheme != "https" and not is_local) or not place.hostname:
        raise ValueError("an issuer's address must be https")
    kind = HTTPConnection if is_local else HTTPSConnection
    connection = kind(place.netloc, timeout=_SECONDS)
    try:
        connection.request("GET", place.path or "/", headers={"accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(_MOST_BYTES + 1)
    finally:
        connection.close()
    if answer.status != 200 or len(body) > _MOST_BYTES:
        raise ValueError(f"status {answer.status}, {len(body)} bytes")
    return body
