from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, pack, unpack
from noria.errors import ModelCorruptError, ModelIncompatibleError

ARRAYS = {"b": array("i", [1, -2]), "a": array("d", [0.1, 1e300]), "c": array("B", [255])}


def test_arrays_and_description_come_back_equal_and_aligned():
    """What is packed is unpacked, each array on its own cache line."""
    document, arrays = unpack(pack({"task": "x"}, ARRAYS))
    assert arrays == ARRAYS
    assert document["task"] == "x"
    assert all(entry["offset"] % 64 == 0 for entry in document["arrays"].values())


def test_equal_content_gives_equal_bytes():
    """Order of insertion is not content."""
    assert pack({"a": 1, "b": 2}, ARRAYS) == pack({"b": 2, "a": 1}, dict(reversed(ARRAYS.items())))


@given(st.integers(0, 130), st.integers(0, 7))
def test_any_flipped_bit_of_the_arrays_is_refused(place, bit):
    """A damaged number must never answer."""
    files = pack({}, ARRAYS)
    body = bytearray(files[ARRAYS_FILE])
    body[place % len(body)] ^= 1 << bit
    with pytest.raises(ModelCorruptError):
        unpack({**files, ARRAYS_FILE: bytes(body)})


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", b'{"arrays": 1}'])
def test_a_description_that_is_not_one_is_refused(body):
    """Any damage to the JSON is a corrupt model, not a crash."""
    with pytest.raises(ModelCorruptError):
        unpack({**pack({}, ARRAYS), BUNDLE_FILE: body})


def test_another_format_version_is_incompatible():
    """A future bundle is refused by old code, by name."""
    files = pack({}, ARRAYS)
    newer = files[BUNDLE_FILE].replace(b'"format_version":3', b'"format_version":4')
    with pytest.raises(ModelIncompatibleError, match="format 3"):
        unpack({**files, BUNDLE_FILE: newer})
