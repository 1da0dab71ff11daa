"""Keys of the API: how they look, how they are made, rotated and revoked. Standard library only.

A value is `noria_`, 32 random characters of 62 (190 bits) and a checksum: who mistypes one is told
without a look-up, and scanners for secrets can find one that was published. Random values of 128
bits and more cannot be guessed, so their SHA-256 is kept; slow hashes are for passwords.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from string import ascii_letters, digits
from typing import NamedTuple
from zlib import crc32

from noria.errors import InvalidInputError
from noria.records.access import ALL_PROJECTS, AccessKey

PREFIX = "noria_"
_ALPHABET = digits + ascii_letters
_RANDOM, _CHECK = 32, 6  # characters; 62**6 > 2**32
_VALUE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_RANDOM}}})_([0-9A-Za-z]{{{_CHECK}}})", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,59}", re.ASCII)
MAX_DAYS = 3650
SCOPES = ("user", "admin")


class NewKey(NamedTuple):
    """A key and its value, which is shown once."""

    value: str
    key: AccessKey


class Wanted(NamedTuple):
    """What a new key is asked to be."""

    name: str
    scopes: Sequence[str]
    projects: Sequence[str] = (ALL_PROJECTS,)
    tier: str = ""  # by default that of its scope
    days: int = 365
    is_limited: bool = True


def new_value() -> str:
    """Return a random value with its checksum."""
    import secrets  # the authorizer makes none, and starts without it

    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return f"{PREFIX}{random}_{_checksum(random)}"


def is_well_formed(value: str) -> bool:
    """Return whether a text can be a key, by its form and checksum alone."""
    found = _VALUE.fullmatch(value)
    return found is not None and hmac.compare_digest(found[2], _checksum(found[1]))


def digest_of(value: str) -> str:
    """Return what a key is filed under."""
    return hashlib.sha256(value.encode()).hexdigest()


def issue(wanted: Wanted, at: datetime, operations: Sequence[str]) -> NewKey:
    """Return a new key.

    Parameters
    ----------
    operations : sequence of str
        The API's, which a key may be limited to instead of a scope.

    Raises
    ------
    InvalidInputError
        A field cannot be taken; the reason says what can.
    """
    scopes, projects = tuple(dict.fromkeys(wanted.scopes)), tuple(dict.fromkeys(wanted.projects))
    if not NAME.fullmatch(wanted.name):
        raise _fault("name", "must be 1 to 60 letters, digits, spaces and . _ @ -")
    if unknown := [scope for scope in scopes if scope not in (*SCOPES, *operations)]:
        known = ", ".join((*SCOPES, *operations))
        raise _fault("scope", f"'{unknown[0]}' is none; there are: {known}")
    if not scopes or not projects:
        raise _fault("scope" if not scopes else "projects", "names nothing")
    if ALL_PROJECTS in projects and len(projects) > 1:
        raise _fault("projects", f"'{ALL_PROJECTS}' stands for all: name no others")
    if not 1 <= wanted.days <= MAX_DAYS:
        raise _fault("days", f"must be 1 to {MAX_DAYS}")
    value = new_value()
    key = AccessKey(
        digest=digest_of(value),
        name=wanted.name,
        scopes=scopes,
        projects=projects,
        tier=wanted.tier or ("admin" if "admin" in scopes else "user"),
        created_at=_iso(at),
        expires_at=_iso(at + timedelta(days=wanted.days)),
        is_limited=wanted.is_limited,
    )
    return NewKey(value, key)


def rotated(key: AccessKey, at: datetime, *, days: int, overlap: timedelta) -> tuple[NewKey, str]:
    """Return the key that replaces another one, and when the old one ends.

    Both are good until then; an old key's end is never put off.
    """
    if not 1 <= days <= MAX_DAYS:
        raise _fault("days", f"must be 1 to {MAX_DAYS}")
    if not is_valid(key, at):
        raise _fault("key", "is no longer good: create a new one")
    value = new_value()
    new = key._replace(
        digest=digest_of(value),
        created_at=_iso(at),
        expires_at=_iso(at + timedelta(days=days)),
        replaces=key.key_id,
        last_used_on=None,
    )
    return NewKey(value, new), min(key.expires_at, _iso(at + overlap))


def is_valid(key: AccessKey, at: datetime) -> bool:
    """Return whether a key opens anything now."""
    return key.revoked_at is None and _iso(at) < key.expires_at


def state_of(key: AccessKey, at: datetime) -> str:
    """Return "good", "expired" or "revoked"."""
    if key.revoked_at is not None:
        return "revoked"
    return "good" if is_valid(key, at) else "expired"


def _checksum(random: str) -> str:
    number, text = crc32(random.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        text += _ALPHABET[digit]
    return text


def _iso(at: datetime) -> str:
    """Return a time whose texts sort as times do: UTC, whole seconds."""
    return at.isoformat(timespec="seconds")


def _fault(field: str, reason: str) -> InvalidInputError:
    return InvalidInputError(f"{field}: {reason}", errors=[{"field": field, "reason": reason}])
