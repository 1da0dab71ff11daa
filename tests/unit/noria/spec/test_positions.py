import tomllib

import pytest

from infra.names import SPECS, project_names
from noria.spec.positions import Positions

TEXT = '''# a comment with [brackets]
top = 1
"quoted.name" = 2

[table]
text = """
[not.a.table]
key = 1
"""
list = [
  "]", # ]
  { a = "}" },
]
after = 3
[table.'inner one']
x.y = 1

[[many]]
name = "a"
[many.part]
k = 1
[[many]]
name = "b"
[[many.parts]]
z = 1
[[many.parts]]
z = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted.name",), 3),
        (("table",), 5),
        (("table", "text"), 6),
        (("table", "list"), 10),
        (("table", "list", 1, "a"), 10),  # the line of the key that holds it
        (("table", "after"), 14),
        (("table", "inner one", "x", "y"), 16),
        (("many", 0, "name"), 19),
        (("many", 0, "part", "k"), 21),
        (("many", 1), 22),
        (("many", 1, "parts", 1, "z"), 27),
        (("table", "absent"), 5),
        (("nowhere", "at", "all"), 1),
    ],
)
def test_a_key_is_found_on_its_line(path, line):
    """Or the nearest table that it would stand in."""
    tomllib.loads(TEXT)
    assert Positions(TEXT).line(path) == line


@pytest.mark.parametrize("name", project_names())
def test_every_key_of_the_shipped_specs_is_where_it_is_said_to_be(name):
    """Each line that is found begins with the key, or holds the value it stands in."""
    text = (SPECS / f"{name}.toml").read_text(encoding="utf-8")
    lines, positions, n = text.splitlines(), Positions(text), 0
    for table, keys in tomllib.loads(text).items():
        if isinstance(keys, dict):
            assert f"[{table}" in lines[positions.line((table,)) - 1]
            for key in keys:
                assert key in lines[positions.line((table, key)) - 1]
                n += 1
    assert n > 15
