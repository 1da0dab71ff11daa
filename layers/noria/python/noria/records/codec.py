"""Requests and results of steps: frozen dataclasses from and to JSON objects, strictly."""

import dataclasses
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from noria.errors import SettingsError


def decode[T](kind: type[T], message: Mapping[str, Any]) -> T:
    """Return the dataclass `kind` built from a JSON object.

    Fields with defaults may be absent. Lists become tuples.

    Raises
    ------
    SettingsError
        A field is missing, unknown or of another type: the state machine and the function do not
        belong together.
    """
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    faults = [f"unknown field '{name}'" for name in message if name not in fields]
    values = {}
    for name, field in fields.items():
        if name not in message:
            if field.default is dataclasses.MISSING:
                faults.append(f"field '{name}' is missing")
            continue
        value = message[name]
        values[name] = tuple(value) if isinstance(value, list) else value
        if not _fits(values[name], hints[name]):
            faults.append(f"field '{name}' must be {hints[name]}, got {type(value).__name__}")
    if faults:
        raise SettingsError(f"{kind.__name__}: {'; '.join(faults)}", faults=faults)
    return kind(**values)


def encode(result: Any) -> dict[str, Any]:
    """Return a step's result as a JSON object."""
    return dataclasses.asdict(result)


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is UnionType:
        return any(_fits(value, option) for option in get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(v, get_args(hint)[0]) for v in value)
    if origin is dict:
        return isinstance(value, dict)
    if origin is Literal:
        return value in get_args(hint)
    if hint is NoneType:
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))
