from dataclasses import dataclass

import pytest

from noria.errors import SettingsError
from noria.records.codec import decode, encode


@dataclass(frozen=True)
class _Request:
    project: str
    keys: tuple[str, ...]
    score: float | None = None
    n: int = 0


def test_messages_survive_both_ways():
    """Lists become tuples; defaults may be absent."""
    request = decode(_Request, {"project": "p", "keys": ["a", "b"], "score": 1})
    assert request == _Request("p", ("a", "b"), 1)
    assert encode(request) == {"project": "p", "keys": ("a", "b"), "score": 1, "n": 0}


def test_a_whole_number_may_come_as_a_float():
    """JSONata has one kind of number, and engines write it as they like."""
    found = decode(_Request, {"project": "p", "keys": [], "n": 3.0})
    assert (found.n, type(found.n)) == (3, int)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"keys": []}, "'project' is missing"),
        ({"project": "p", "keys": [], "typo": 1}, "unknown field 'typo'"),
        ({"project": 3, "keys": []}, "'project' must be"),
        ({"project": "p", "keys": [1]}, "'keys' must be"),
        ({"project": "p", "keys": [], "score": "x"}, "'score' must be"),
        ({"project": "p", "keys": [], "n": True}, "'n' must be"),
        ({"project": "p", "keys": [], "n": 3.5}, "'n' must be"),
        ({"project": "p", "keys": [], "n": float("inf")}, "'n' must be"),
    ],
)
def test_a_message_of_another_shape_is_refused(message, said):
    """A state machine and a function of different versions must not misunderstand each other."""
    with pytest.raises(SettingsError, match=said):
        decode(_Request, message)
