"""JSON Web Tokens of one issuer: RS256 and nothing else, with the standard library.

RFC 7519 (tokens), RFC 7515 (signatures), RFC 8017, 8.2.2 and 9.2 (RSASSA-PKCS1-v1_5): the block that a
right signature must have is built again, whole, and compared; nothing of a signature is parsed. So
a padding that is too short or has something behind it is refused like any other block.
"""

import hashlib
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from hmac import compare_digest
from typing import NamedTuple

from noria.errors import TokenRefusedError
from noria.records.access import ALL_PROJECTS, Grant

_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # of SHA-256, RFC 8017, 9.2
_LEAST_BITS, _LEAST_EXPONENT = 2048, 65537
_MOST_CHARACTERS = 8192
_LEEWAY_SECONDS = 60.0  # that clocks may differ by
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9*_:./-]{1,200}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9._@|:-]{1,80}", re.ASCII)
SCOPE_PREFIX, PROJECTS_CLAIM = "noria:", "noria:projects"


class PublicKey(NamedTuple):
    """A public key of RSA."""

    modulus: int
    exponent: int


class Expected(NamedTuple):
    """Whose tokens are taken, and for whom."""

    issuer: str
    audience: str
    scope_claim: str = "scope"  # texts with spaces between, or a list


def public_keys(document: object) -> dict[str, PublicKey]:
    """Return the keys for RS256 of a JWK set (RFC 7517), by their ids; others are left out."""
    found: dict[str, PublicKey] = {}
    keys = document.get("keys") if isinstance(document, Mapping) else None
    for jwk in keys if isinstance(keys, Sequence) else ():
        if not isinstance(jwk, Mapping) or jwk.get("kty") != "RSA":
            continue
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", "RS256") != "RS256":
            continue
        try:
            key = PublicKey(_number(jwk["n"]), _number(jwk["e"]))
        except (KeyError, TypeError, ValueError):
            continue
        is_strong = key.modulus.bit_length() >= _LEAST_BITS and key.exponent >= _LEAST_EXPONENT
        if is_strong and isinstance(jwk.get("kid"), str):
            found[jwk["kid"]] = key
    return found


def key_id_of(token: str) -> str:
    """Return the id of the key that a token says it is signed with; nothing else is known of it."""
    header = _part(_parts(token)[0], "header")
    if header.get("alg") != "RS256" or "crit" in header:
        raise TokenRefusedError("the token is not signed with RS256")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise TokenRefusedError("the token names no key")
    return key_id


def verified_grant(token: str, key: PublicKey, expected: Expected, at: datetime) -> Grant:
    """Return what the holder of a token may do.

    Scopes are those of the claim that begin with `noria:`, without it: `noria:user`. Projects are
    those of the claim `noria:projects`, all where it is not there.

    Raises
    ------
    TokenRefusedError
        The signature, the issuer, the audience or the time is not right, or no scope is ours. The
        message quotes nothing of the token.
    """
    head, body, signature = _parts(token)
    if not _is_signed(f"{head}.{body}".encode(), _bytes(signature), key):
        raise TokenRefusedError("the signature is not right")
    claims = _part(body, "claims")
    _require_claims(claims, expected, at)
    scopes = tuple(
        scope.removeprefix(SCOPE_PREFIX)
        for scope in _texts(claims.get(expected.scope_claim))
        if scope.startswith(SCOPE_PREFIX) and scope != SCOPE_PREFIX
    )
    if not scopes:
        raise TokenRefusedError("the token has no scope of ours")
    projects: tuple[str, ...] = (ALL_PROJECTS,)
    if PROJECTS_CLAIM in claims:
        projects = tuple(_texts(claims[PROJECTS_CLAIM])) or ("",)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _NAME.fullmatch(subject):
        raise TokenRefusedError("the token has no subject that can be written down")
    return Grant(f"jwt:{subject}", subject, scopes, projects)


def _require_claims(claims: Mapping[str, object], expected: Expected, at: datetime) -> None:
    if claims.get("iss") != expected.issuer:
        raise TokenRefusedError("the token is of another issuer")
    # Access tokens of Cognito name the client instead.
    audience = claims.get("aud", claims.get("client_id"))
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.audience not in audiences:
        raise TokenRefusedError("the token is for somebody else")
    now = at.timestamp()
    if now >= _time(claims, "exp", None) + _LEEWAY_SECONDS:
        raise TokenRefusedError("the token has ended")
    if now < _time(claims, "nbf", 0.0) - _LEEWAY_SECONDS:
        raise TokenRefusedError("the token is not good yet")


def _time(claims: Mapping[str, object], name: str, default: float | None) -> float:
    found = claims.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TokenRefusedError(f"the token's {name} is no time")
    return float(found)


def _texts(found: object) -> list[str]:
    """Return the texts of a claim: of one text its parts, of a list those without spaces."""
    listed = found.split() if isinstance(found, str) else found
    if not isinstance(listed, list):
        return []
    # What is handed on has spaces between: one inside of a text would make two of it.
    return [one for one in listed if isinstance(one, str) and _WORD.fullmatch(one)]


def _is_signed(message: bytes, signature: bytes, key: PublicKey) -> bool:
    size = (key.modulus.bit_length() + 7) // 8
    number = int.from_bytes(signature)
    if len(signature) != size or number >= key.modulus:
        return False
    digest = _DIGEST_INFO + hashlib.sha256(message).digest()
    block = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
    return compare_digest(pow(number, key.exponent, key.modulus).to_bytes(size), block)


def _parts(token: str) -> list[str]:
    parts = token.split(".")
    is_formed = len(token) <= _MOST_CHARACTERS and len(parts) == 3
    if not is_formed or not all(_PART.fullmatch(part) for part in parts):
        raise TokenRefusedError("this is no token")
    return parts


def _part(text: str, what: str) -> Mapping[str, object]:
    try:
        found = json.loads(_bytes(text))
    except (ValueError, RecursionError) as error:
        raise TokenRefusedError(f"the token's {what} cannot be read") from error
    if not isinstance(found, dict):
        raise TokenRefusedError(f"the token's {what} is no object")
    return found


def _bytes(text: str) -> bytes:
    try:
        found = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise TokenRefusedError("this is no token") from error
    return found


def _number(text: str) -> int:
    if not isinstance(text, str) or not _PART.fullmatch(text):
        raise ValueError("no number")
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
