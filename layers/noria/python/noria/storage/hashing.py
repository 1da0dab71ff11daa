"""Canonical bytes and content hashes: one definition for every id in the system."""

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Return the one UTF-8 JSON encoding of a value: sorted keys, no spaces, no NaN.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": "sesión"}).decode()
    '{"a":"sesión","b":1}'
    """
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return text.encode()


def sha256_hex(body: bytes) -> str:
    """Return the SHA-256 of `body` as 64 hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def short_id(body: bytes) -> str:
    """Return the first 16 hexadecimal digits (64 bits) of the SHA-256, for readable ids."""
    return sha256_hex(body)[:16]
