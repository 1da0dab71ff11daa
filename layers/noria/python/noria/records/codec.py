"""Records from and to JSON objects, strictly: what steps hand each other and what is stored.

A record is a frozen dataclass. A stored record carries the number of its format beside its
fields, so that a reader refuses what a newer Noria has written instead of misreading it.
"""

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from noria.errors import SettingsError
from noria.records.stored import CURRENT, FORMAT, from_stored
from noria.storage.hashing import canonical_json


def decode[T](kind: type[T], message: Mapping[str, Any]) -> T:
    """Return the record `kind` built from a JSON object.

    Fields with defaults may be absent. Lists become tuples, objects become the records that the
    fields declare.

    Raises
    ------
    SettingsError
        A field is missing, unknown or of another type: whoever wrote the object and this code
        do not belong together.
    """
    faults: list[str] = []
    record = _record(kind, message, "", faults)
    if faults:
        raise SettingsError(f"{kind.__name__}: {'; '.join(faults)}", faults=faults)
    made: T = record
    return made


def encode(record: Any) -> dict[str, Any]:
    """Return a record as a JSON object."""
    return dataclasses.asdict(record)


def to_bytes(record: Any) -> bytes:
    """Return a record as it is stored: canonical JSON with the number of its format."""
    return canonical_json({**encode(record), FORMAT: CURRENT})


def from_bytes[T](kind: type[T], body: bytes) -> T:
    """Return the stored record of a kind.

    Raises
    ------
    SettingsError
        A newer Noria wrote it, or it is no such record.
    """
    return decode(kind, from_stored(kind.__name__, body))


@lru_cache(maxsize=256)
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Return {field: (type, whether it must be there)} of a record."""
    hints = get_type_hints(kind)
    return {
        field.name: (
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
        if field.init
    }


def _record(kind: Any, message: Any, place: str, faults: list[str]) -> Any:
    if not isinstance(message, Mapping):
        faults.append(f"{_at(place)} must be an object, got {type(message).__name__}")
        return None
    fields = _fields(kind)
    n_before = len(faults)
    faults += [f"unknown {_at(_under(place, name))}" for name in message if name not in fields]
    values = {}
    for name, (hint, is_required) in fields.items():
        at = _under(place, name)
        if name in message:
            values[name] = _value(hint, message[name], at, faults)
        elif is_required:
            faults.append(f"{_at(at)} is missing")
    return kind(**values) if len(faults) == n_before else None


def _value(hint: Any, value: Any, place: str, faults: list[str]) -> Any:
    """Return a value as a field's type has it; note a fault where it does not fit."""
    origin = get_origin(hint)
    if origin in (UnionType, Union):
        return _one_of(hint, value, place, faults)
    if origin is tuple and isinstance(value, list | tuple):
        return _tuple(hint, value, place, faults)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        of = get_args(hint)[1]
        return {k: _value(of, part, f"{place}.{k}", faults) for k, part in value.items()}
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, place, faults)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)  # JSONata has one kind of number
    if not _fits(value, hint, origin):
        faults.append(f"{_at(place)} must be {_shown(hint)}, got {type(value).__name__}")
    return value


def _one_of(hint: Any, value: Any, place: str, faults: list[str]) -> Any:
    options = get_args(hint)
    if value is None and NoneType in options:
        return None
    tried: list[str] = []
    for option in options:
        own: list[str] = []
        made = _value(option, value, place, own)
        if not own:
            return made
        tried = own
    # With one real option its own faults say most.
    many = len([option for option in options if option is not NoneType]) > 1
    shown = f"{_at(place)} must be {_shown(hint)}, got {type(value).__name__}"
    faults += [shown] if many or not tried else tried
    return None


def _tuple(hint: Any, value: Any, place: str, faults: list[str]) -> Any:
    options = get_args(hint)
    if len(options) == 2 and options[1] is Ellipsis:
        return tuple(_value(options[0], part, place, faults) for part in value)
    if len(value) != len(options):
        faults.append(f"{_at(place)} must have {len(options)} entries, got {len(value)}")
        return value
    pairs = zip(options, value, strict=True)
    return tuple(_value(option, part, place, faults) for option, part in pairs)


def _fits(value: Any, hint: Any, origin: Any) -> bool:
    if hint is Any:
        return True
    if origin is Literal:
        return value in get_args(hint)
    if origin is not None:  # a container that the value is not
        return False
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint)


def _under(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _at(place: str) -> str:
    return f"field '{place}'" if place else "the message"
