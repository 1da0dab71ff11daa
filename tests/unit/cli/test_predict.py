import json

import pytest

from cli.predict import _row


def test_rows_are_read_by_the_columns_types():
    """A text that looks like a number stays text."""
    row = _row(["RM=6.5", "note=12345", "gap="], lambda: {"RM"})
    assert row == {"RM": 6.5, "note": "12345", "gap": ""}
    assert _row([json.dumps({"RM": 1})], set) == {"RM": 1}
    with pytest.raises(ValueError, match="RM: 'six' is no number"):
        _row(["RM=six"], lambda: {"RM"})
