"""On which line of a TOML text a key stands: `tomllib` reads values, not where they are."""

import re
import tomllib
from collections.abc import Sequence

Path = tuple[str | int, ...]

_NAME = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAMES})\s*\]")
_KEY = re.compile(rf"\s*({_NAMES})\s*=")
_PART = re.compile(_NAME)
# A string, which may hold any sign; a comment; a sign that opens or closes a value.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|' r"'''.*?'''|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'|#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


class Positions:
    """The lines of a text's tables and keys.

    Parameters
    ----------
    text : str
        Valid TOML.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {(): 1}
        table: Path = ()
        n_tables: dict[Path, int] = {}
        for number, line in _statements(text):
            if header := _HEADER.match(line):
                table = self._entered(_parts(header[2]), n_tables, is_list=header[1] == "[[")
                self._lines[table] = number
                for size in range(1, len(table)):
                    self._lines.setdefault(table[:size], number)
            elif key := _KEY.match(line):
                self._lines[table + tuple(_parts(key[1]))] = number

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of a key, from 1: of the nearest table or key that its path begins with."""
        found = tuple(path)
        while found not in self._lines:
            found = found[:-1]
        return self._lines[found]

    def _entered(self, names: Sequence[str], n_tables: dict[Path, int], *, is_list: bool) -> Path:
        """Return the path of a table; of a list of tables with the number of this one."""
        path: Path = ()
        for name in names[:-1]:
            path += (name,)
            if path in n_tables:  # a table of the last one in a list
                path += (n_tables[path] - 1,)
        path += (names[-1],)
        if is_list:
            n_tables[path] = n_tables.get(path, 0) + 1
            path += (n_tables[path] - 1,)
        return path


def _parts(dotted: str) -> list[str]:
    return [str(_unquoted(part)) for part in _PART.findall(dotted)]


def _unquoted(name: str) -> str:
    if name[0] not in "\"'":
        return name
    (key,) = tomllib.loads(f"{name} = 1")
    return key


def _statements(text: str) -> list[tuple[int, str]]:
    """Return (line, text) of everything that begins at the start of a line, outside all values."""
    found, depth, number, start = list[tuple[int, str]](), 0, 1, 0
    for token in _TOKEN.finditer(text + "\n"):
        sign = token[0]
        if sign in ("[", "{"):
            depth += 1
        elif sign in ("]", "}"):
            depth -= 1
        elif sign == "\n" and depth == 0:
            found.append((number, text[start : token.start()]))
            number += text.count("\n", start, token.end())
            start = token.end()
    return [(line, statement) for line, statement in found if statement.strip()]
