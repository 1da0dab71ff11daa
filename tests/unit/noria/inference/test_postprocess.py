import math

import pytest

from noria.inference.postprocess import load_postprocess
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
    assert load_postprocess(DATA._replace(edges=()))({"p": 1, "monto": 9}, [0, 1])["band"] is None


def test_projects_without_postprocessor_get_nothing_added():
    """Nothing is declared, nothing is added."""
    assert load_postprocess(None)({"monto": 5}, [0.5, 0.5]) == {}
