import math
from dataclasses import replace

import pytest

from noria.inference.postprocess import business_totals, load_postprocess
from noria.records.bundle import Postprocessing

DATA = Postprocessing(
    "business_value", 1, "p", "monto", bands=("low", "medium", "high"), edges=(1.0, 3.0)
)


@pytest.mark.parametrize(
    ("inputs", "value", "band"),
    [
        ({"p": 0.5, "monto": math.e**4}, 0.8 * 0.5 * 4, "medium"),
        ({"p": 0.1, "monto": math.e}, 0.08, "low"),
        ({"p": 1.0, "monto": math.e**10}, 8.0, "high"),
        ({"p": 0.5, "monto": 0.0}, 0.0, "low"),
        ({"p": None, "monto": 5.0}, None, None),
        ({}, None, None),
    ],
    ids=["middle", "low", "high", "amount of nothing", "no contact", "no inputs"],
)
def test_value_is_purchase_times_contact_times_log_of_the_amount(inputs, value, band):
    """Without its inputs there is no value, rather than a wrong one."""
    found = load_postprocess(DATA)(inputs, [0.2, 0.8])
    assert found["business_value"] == (None if value is None else pytest.approx(value))
    assert found["band"] == band


def test_bands_are_fixed_by_training_not_by_the_batch():
    """The replaced gauge compared each average with multiples of itself: always green."""
    assert load_postprocess(DATA)({"p": 0.01, "monto": 2.0}, [0.9, 0.1])["band"] == "low"
    assert load_postprocess(replace(DATA, edges=()))({"p": 1, "monto": 9}, [0, 1])["band"] is None


def test_projects_without_postprocessor_get_nothing_added():
    """Nothing is declared, nothing is added."""
    assert load_postprocess(None)({"monto": 5}, [0.5, 0.5]) == {}


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
