"""Totals and bands of business value, as a report of a training shows them."""

from noria.evaluation.business_value import business_totals


def test_totals_are_those_of_the_rows_with_a_value_and_by_band():
    """The most valuable band first; rows without an amount are not worth nothing, they are out."""
    added = [
        {"business_value": value, "band": band}
        for value, band in [(1.0, "low"), (4.0, "high"), (2.0, "high"), (None, None)]
    ]
    found = business_totals(added, [False, True, False, True])
    assert (found.n_rows, found.total, found.max) == (3, 7.0, 4.0)
    assert [(b.band, b.mean, b.positive_fraction) for b in found.bands] == [
        ("high", 3.0, 0.5),
        ("low", 1.0, 0.0),
    ]
    assert business_totals([{}], [True]) is None
