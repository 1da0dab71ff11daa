import pytest

from noria.errors import ModelIncompatibleError
from noria.inference.golden import MIN_GOLDEN_ROWS, GoldenRow, golden_inputs, verify

TYPES = {"t": "text", "n": "number", "c": "category"}
ROWS = [{"t": f"texto {i}", "n": float(i), "c": "a"} for i in range(40)]


class _Fixed:
    """A predictor that always answers the same."""

    def __init__(self, answer, precision="float64"):
        self.answer, self.precision = answer, precision

    def score(self, row):
        return self.answer


def _golden(expected):
    return [GoldenRow({}, expected)] * MIN_GOLDEN_ROWS


def test_golden_rows_are_many_repeatable_and_hostile():
    """Missing values, unseen levels, empty and non-ASCII text are always among them."""
    rows = golden_inputs(ROWS, TYPES)
    assert len(rows) >= MIN_GOLDEN_ROWS
    assert rows == golden_inputs(ROWS, TYPES)
    texts = {row["t"] for row in rows}
    assert {None, ""} <= texts
    assert any(text and not text.isascii() for text in texts)
    assert None in {row["n"] for row in rows}
    assert "unseen level" in {row["c"] for row in rows}


@pytest.mark.parametrize(
    ("precision", "difference", "passes"),
    [
        ("float64", 5e-10, True),
        ("float64", 5e-9, False),
        ("float32", 5e-7, True),
        ("float32", 5e-6, False),
        ("float64", float("nan"), False),
    ],
)
def test_a_difference_above_the_precisions_tolerance_refuses(precision, difference, passes):
    """Each side of the bound."""
    predictor = _Fixed([0.5 + difference], precision)
    if passes:
        assert verify(predictor, _golden([0.5])) == pytest.approx(difference, rel=1e-3)
    else:
        with pytest.raises(ModelIncompatibleError, match="golden row 0"):
            verify(predictor, _golden([0.5]))


def test_one_nan_among_good_rows_refuses():
    """A later good row must not hide it."""
    golden = [GoldenRow({}, [float("nan")]), *_golden([0.5])]
    with pytest.raises(ModelIncompatibleError, match="golden row 0"):
        verify(_Fixed([0.5]), golden)


def test_too_few_golden_rows_prove_nothing():
    """An empty proof is refused."""
    with pytest.raises(ModelIncompatibleError, match="prove nothing"):
        verify(_Fixed([0.5]), _golden([0.5])[:-1])
