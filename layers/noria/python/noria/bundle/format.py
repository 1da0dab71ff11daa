"""The serving bundle's files: `bundle.json` (what it is) and `arrays.bin` (its numbers).

`arrays.bin` is flat little-endian arrays, each aligned to 64 bytes, named in `bundle.json`.
Nothing in it can run, so loading one is reading it. Standard library only: predict imports this.
"""

import json
import sys
from array import array
from collections.abc import Mapping
from typing import Any

from noria.errors import ModelCorruptError, ModelIncompatibleError
from noria.storage.hashing import canonical_json, sha256_hex

FORMAT_VERSION = 3
BUNDLE_FILE = "bundle.json"
ARRAYS_FILE = "arrays.bin"
_LIFTED = "$array"
_ALIGNMENT = 64  # bytes: a cache line, so that a memory-mapped array starts on one
TYPECODES = {"float64": "d", "float32": "f", "int32": "i", "uint8": "B"}


def pack(description: Mapping[str, Any], arrays: Mapping[str, array[Any]]) -> dict[str, bytes]:
    """Return the bundle's files by name.

    Parameters
    ----------
    description : JSON object
        Task, classes, columns, feature view, model. An `array.array` in it, at any depth, is
        moved to the arrays, and back by `unpack`.
    arrays : mapping of name to `array.array`
        Typecodes of `TYPECODES` only.
    """
    codes = {code: name for name, code in TYPECODES.items()}
    body = bytearray()
    directory: dict[str, Any] = {}
    together = dict(arrays)
    description = _lifted(description, together)
    for name in sorted(together):
        values = together[name]
        body += bytes(-len(body) % _ALIGNMENT)
        dtype = codes[values.typecode]
        directory[name] = {"dtype": dtype, "offset": len(body), "length": len(values)}
        body += _little_endian(values).tobytes()
    document = {
        **description,
        "format_version": FORMAT_VERSION,
        "arrays": directory,
        "arrays_sha256": sha256_hex(bytes(body)),
    }
    return {BUNDLE_FILE: canonical_json(document), ARRAYS_FILE: bytes(body)}


def unpack(files: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, array[Any]]]:
    """Return the description and the arrays of a bundle's files.

    Raises
    ------
    ModelCorruptError
        The arrays do not hash to what the description records, or do not fit their directory.
    ModelIncompatibleError
        The bundle was written in a format this code does not read.
    """
    try:
        document = json.loads(files[BUNDLE_FILE])
        body, directory = files[ARRAYS_FILE], document["arrays"]
        version, expected = document["format_version"], document["arrays_sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelCorruptError(f"the serving bundle is not readable: {error!r}") from error
    if version != FORMAT_VERSION:
        raise ModelIncompatibleError(
            f"serving bundle format {version}; this code reads format {FORMAT_VERSION}",
            expected=FORMAT_VERSION,
            got=version,
        )
    if sha256_hex(body) != expected:
        raise ModelCorruptError(f"{ARRAYS_FILE} does not hash to what {BUNDLE_FILE} records")
    arrays = {name: _read(body, name, entry) for name, entry in directory.items()}
    return _lowered(document, arrays), arrays


def with_description(bundle: bytes, changes: Mapping[str, object]) -> bytes:
    """Return `bundle.json` with parts of its description replaced; its arrays stay as they are.

    Parameters
    ----------
    bundle : bytes
        A whole `bundle.json`.
    changes : JSON object
        Parts without arrays, by name.
    """
    return canonical_json({**json.loads(bundle), **changes})


def _lifted(value: Any, arrays: dict[str, array[Any]]) -> Any:
    """Replace each array inside a JSON value by a reference to its place among `arrays`."""
    if isinstance(value, array):
        name = f"{_LIFTED}{len(arrays)}"
        arrays[name] = value
        return {_LIFTED: name}
    if isinstance(value, Mapping):
        return {key: _lifted(part, arrays) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_lifted(part, arrays) for part in value]
    return value


def _lowered(value: Any, arrays: Mapping[str, array[Any]]) -> Any:
    """Put the arrays back that `_lifted` moved."""
    if isinstance(value, dict):
        if _LIFTED in value:
            return arrays[value[_LIFTED]]
        return {key: _lowered(part, arrays) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_lowered(part, arrays) for part in value]
    return value


def _read(body: bytes, name: str, entry: Mapping[str, Any]) -> array[Any]:
    values = array(TYPECODES[entry["dtype"]])
    start, size = entry["offset"], entry["length"] * values.itemsize
    if start + size > len(body):
        raise ModelCorruptError(f"array '{name}' ends after the end of {ARRAYS_FILE}", array=name)
    values.frombytes(memoryview(body)[start : start + size])
    return _little_endian(values)


def _little_endian(values: array[Any]) -> array[Any]:
    if sys.byteorder == "little":
        return values
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped
