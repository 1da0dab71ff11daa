"""The two keys of the stack on this machine: made when first needed, kept beside its state."""

import json
import os
from pathlib import Path

from noria.access.keys import Wanted, digest_of, is_valid, issue
from noria.ports import AccessKeys, Clock

_FILE = "keys.json"
_OWNER_ALONE = 0o600


def local_key(folder: Path, scope: str, keys: AccessKeys, clock: Clock) -> str:
    """Return the value of this machine's key of a scope; a new one where the stack forgot it.

    It is not limited: loads and tests on a laptop must not wait for the next minute.
    """
    path = folder / _FILE
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if scope in known:
        found = keys.find(digest_of(known[scope]))
        if found is not None and is_valid(found, clock.now()):
            return known[scope]
    new = issue(Wanted(f"local {scope}", (scope,), is_limited=False), clock.now(), ())
    keys.add(new.key)
    written = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(
        os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ALONE), "w"
    ) as to:
        json.dump({**known, scope: new.value}, to)
    written.replace(path)
    return new.value
