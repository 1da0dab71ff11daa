"""Keys of source files between steps: themselves, or the key of their list where they are many.

Step Functions passes 256 KiB at most from state to state; an inbox grows for years.
"""

import json
from collections.abc import Sequence

from noria.errors import DatasetSchemaError
from noria.ports import ArtifactStore
from noria.storage.hashing import canonical_json
from noria.storage.keys import SOURCE_KEYS

MOST_KEYS = 200  # that are passed as they are: at most 1,024 bytes each


def passed_keys(artifacts: ArtifactStore, keys: Sequence[str], list_key: str) -> tuple[str, ...]:
    """Return the keys, or where they are many the one key of their list, which is written.

    Parameters
    ----------
    list_key : str
        Of an object called `SOURCE_KEYS`.
    """
    if len(keys) <= MOST_KEYS:
        return tuple(keys)
    artifacts.put(list_key, canonical_json(list(keys)))
    return (list_key,)


def listed_keys(artifacts: ArtifactStore, passed: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of the source files that `passed_keys` stands for.

    Raises
    ------
    DatasetSchemaError
        A list is gone, or no list of keys.
    """
    found: list[str] = []
    for key in passed:
        if not key.endswith(f"/{SOURCE_KEYS}"):
            found.append(key)
            continue
        try:
            listed = json.loads(artifacts.get(key))
        except (KeyError, ValueError) as error:
            raise DatasetSchemaError(f"{key}: no list of source files", file=key) from error
        if not isinstance(listed, list) or not all(isinstance(part, str) for part in listed):
            raise DatasetSchemaError(f"{key}: no list of source files", file=key)
        found += listed
    return tuple(found)
