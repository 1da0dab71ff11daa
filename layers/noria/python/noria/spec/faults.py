"""Everything that is wrong with a spec, at once, each fault with its path and line."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from noria.spec.checks import contradictions
from noria.spec.model import ProjectSpec
from noria.spec.positions import Path, Positions

_SHOWN_CHARACTERS, _SHOWN_KEYS = 80, 25
_CLOSE = 0.7  # how much alike two spellings must be, of 1
_ROUNDS = 4  # of leaving faulty keys out
_ABSENT = object()
_NEEDS = "has no effect here"  # what a key needs may be among the faulty ones


@dataclass(frozen=True)
class SpecFault:
    """One thing that is wrong with a spec."""

    path: str  # "" where the file as a whole is meant
    text: str  # what is wrong and what is allowed
    line: int  # of the file, from 1

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"line {self.line}: {place}{self.text}"


def faults_of(raw: Mapping[str, Any], text: str) -> list[SpecFault]:
    """Return every fault of a spec, in the order of its lines.

    Parameters
    ----------
    raw : mapping
        What the TOML text says.

    Notes
    -----
    Keys that cannot be read are left out where they have a default, and the rest is checked
    against itself. What depends on them is then not complained about.
    """
    positions, found = Positions(text), list[SpecFault]()
    data: Any = copy.deepcopy(raw)
    left_out = list[Path]()  # the tables that a key was left out of
    for number in range(_ROUNDS):
        try:
            spec = ProjectSpec.model_validate(data)
        except ValidationError as error:
            faults = _by_path(data, error)
            if number == 0:
                found += [_described(path, these, positions) for path, these in faults.items()]
            if not all(_leave_out(data, path, these) for path, these in faults.items()):
                break
            left_out += [_table(path) for path, these in faults.items() if not _is_unknown(these)]
        else:
            for told in contradictions(spec):
                where, _, what = told.partition(": ")
                path = _path_of(where)
                is_hidden = _NEEDS in what or any(path[: len(t)] == t for t in left_out)
                if not (left_out and is_hidden):
                    found.append(SpecFault(where, what, positions.line(path)))
            break
    return sorted(found, key=lambda fault: fault.line)


def _by_path(raw: Any, error: ValidationError) -> dict[Path, list[Any]]:
    """Return the faults of each key that is there, or should be: a value of several types has one."""
    found: dict[Path, list[Any]] = {}
    faults = error.errors()
    inner = [tuple(fault["loc"]) for fault in faults]
    for fault in faults:
        place = tuple(fault["loc"])
        if fault["type"] == "too_short" and any(
            len(other) > len(place) and other[: len(place)] == place for other in inner
        ):
            continue  # its items are there, and faulty
        path = _real_path(raw, fault["loc"], is_absent=fault["type"] == "missing")
        found.setdefault(path, []).append(fault)
    return found


def _real_path(raw: Any, location: Sequence[str | int], *, is_absent: bool) -> Path:
    """Return the path in the file: what pydantic names besides are types that it has tried."""
    path: Path = ()
    node: Any = raw
    for place, part in enumerate(location):
        inner = _inner(node, part)
        if inner is _ABSENT and not (is_absent and place == len(location) - 1):
            continue
        node = inner
        path += (part,)
    return path


def _inner(node: Any, part: str | int) -> Any:
    if isinstance(node, list):
        if isinstance(part, int) and 0 <= part < len(node):
            return node[part]
        return _ABSENT
    return node.get(part, _ABSENT) if isinstance(node, Mapping) else _ABSENT


def _table(path: Path) -> Path:
    """Return the section of a key: of several, as candidates, its own."""
    return path[: 2 if len(path) > 1 and isinstance(path[1], int) else 1]


def _is_unknown(faults: Sequence[Any]) -> bool:
    return all(fault["type"] == "extra_forbidden" for fault in faults)


def _leave_out(raw: Any, path: Path, faults: Sequence[Any]) -> bool:
    """Remove a key, or take the value that is surely meant.

    False where that cannot help: it is missing, or the whole file is meant.
    """
    if not path or any(fault["type"] == "missing" for fault in faults):
        return False
    node: Any = raw
    for part in path[:-1]:
        node = _inner(node, part)
    if isinstance(node, list):
        return False  # the others of the list would move up
    if _inner(node, path[-1]) is _ABSENT:
        return True  # it went with the table that it stood in
    if meant := _meant(faults):
        node[path[-1]] = meant
    else:
        del node[path[-1]]
    return True


def _meant(faults: Sequence[Any]) -> str | None:
    """Return the allowed value that a misspelt one is close to."""
    (fault, *others) = faults
    if others or fault["type"] != "literal_error" or not isinstance(fault["input"], str):
        return None
    allowed = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
    return next(iter(get_close_matches(fault["input"], allowed, n=1, cutoff=_CLOSE)), None)


def _described(path: Path, faults: Sequence[Any], positions: Positions) -> SpecFault:
    shown = ".".join(map(str, path))
    if _is_unknown(faults):
        text = f"unknown key; {_advice(path)}"
    elif faults[0]["type"] == "missing":
        text = "required, but absent"
    else:
        said = list(dict.fromkeys(fault["msg"].removeprefix("Value error, ") for fault in faults))
        got = repr(faults[0]["input"])
        short = got if len(got) <= _SHOWN_CHARACTERS else f"{got[: _SHOWN_CHARACTERS - 3]}..."
        hint = f"; did you mean '{meant}'?" if (meant := _meant(faults)) else ""
        text = f"{'; or: '.join(said)} (got {short}){hint}"
    return SpecFault(shown, text, positions.line(path))


def _advice(path: Path) -> str:
    """Return which key may be meant, or which there are."""
    allowed = sorted({key for kind in _models(path[:-1]) for key in _keys(kind)})
    if close := get_close_matches(str(path[-1]), allowed, n=2, cutoff=_CLOSE):
        return f"did you mean {' or '.join(close)}?"
    if not allowed:
        return "remove it or correct its spelling"
    more = f" and {len(allowed) - _SHOWN_KEYS} more" if len(allowed) > _SHOWN_KEYS else ""
    return f"allowed: {', '.join(allowed[:_SHOWN_KEYS])}{more}"


def _keys(kind: type[BaseModel]) -> Iterator[str]:
    for name, about in kind.model_fields.items():
        yield about.alias or name


def _models(path: Path) -> list[type[BaseModel]]:
    """Return the sections that may stand at a path."""
    kinds: list[Any] = [ProjectSpec]
    for part in path:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _inside(kind: Any, part: str | int) -> list[Any]:
    """Return the types that a part of a value may have."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, about in kind.model_fields.items():
            if part in (about.alias, name):
                return _options(about.annotation)
        return []
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return _options(arguments[1])
    return _options(arguments[0]) if get_origin(kind) is tuple and arguments else []


def _options(hint: Any) -> list[Any]:
    """Return the types of a union, each alone; others as they are."""
    if get_origin(hint) is Annotated:
        return _options(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [inner for option in get_args(hint) for inner in _options(option)]
    return [hint]


def _path_of(where: str) -> Path:
    parts = where.split(".")
    return tuple(int(p) if p.isascii() and p.isdecimal() else p for p in parts)
