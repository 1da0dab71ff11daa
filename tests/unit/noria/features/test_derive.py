import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.features.derive import DERIVATIONS, Deriver
from noria.spec.features import DERIVATION_TYPES, Derivation
from noria.spec.loader import load_project
from tests.conftest import PROJECTS


def _derived(value, how, **settings):
    source = ["a", "b"] if isinstance(value, tuple) else "a"
    data = Derivation(**{"from": source, "as": how, **settings}).model_dump(mode="json")
    row = dict(zip("ab", value, strict=True)) if isinstance(value, tuple) else {"a": value}
    return Deriver({"out": data}).extended(row)["out"]


@pytest.mark.parametrize(
    ("value", "how", "settings", "expected"),
    [
        ("añb", "length", {}, 3.0),
        ("uno, dos  tres!", "words", {}, 3.0),
        ("hola!", "matches", {"pattern": "[!¡]"}, 1.0),
        ("hola", "matches", {"pattern": "[!¡]"}, 0.0),
        ("", "count", {}, 0.0),
        ("Bars, Pubs,,Bars", "count", {}, 2.0),
        ("", "years", {}, 0.0),
        ("12,2012,2013", "years", {}, 2.0),
        (3.0, "above", {}, 1.0),
        (0.0, "above", {}, 0.0),
        (0.0, "log", {}, 0.0),
        (-2.0, "log", {}, None),
        (9.0, "sqrt", {}, 3.0),
        (-1.0, "sqrt", {}, None),
        ((2.0, 3.0), "product", {}, 6.0),
        ((3.0, 2.0), "ratio", {}, 1.5),
        ((3.0, 0.0), "ratio", {}, None),
        ("2024-02-03T10:00:00+00:00", "year", {}, "2024"),
        ("2024-02-03", "month", {}, "2"),
        ("2024-02-03", "dayofweek", {}, "5"),
        ("2024-02-03", "weekend", {}, 1.0),
        ("2024-11-04", "quarter", {}, "4"),
    ],
)
def test_each_derivation(value, how, settings, expected):
    """Empty lists count nothing: the replaced system counted 1 for users never elite."""
    assert _derived(value, how, **settings) == expected


@pytest.mark.parametrize("how", sorted(DERIVATIONS))
def test_a_gap_stays_a_gap(how):
    """It is the feature that imputes."""
    settings = {"matches": {"pattern": "x"}, "first_match": {"patterns": [("x", "x")]}}
    value = (None, 1.0) if how in ("product", "ratio") else None
    assert _derived(value, how, **settings.get(how, {})) is None


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ("Public Services & Government", "other"),
        ("Barbers, Beauty", "other"),
        ("Spanish, Tutoring", "other"),
        ("Sports Bars, Nightlife", "bar"),
        ("Day Spas", "health"),
        ("Restaurants, Bars", "restaurant"),
    ],
)
def test_groups_match_whole_words_only(categories, expected):
    """The replaced patterns took public services for a bar and Spanish for a spa."""
    spec = load_project("messages", PROJECTS)
    derived = {name: d.model_dump(mode="json") for name, d in spec.derived.items()}
    row = Deriver(derived).extended({"categories": categories})
    assert row["main_category_group"] == expected


def test_later_columns_read_earlier_ones():
    """In the order of the spec."""
    data = {
        "logged": Derivation(**{"from": "a", "as": "log"}).model_dump(mode="json"),
        "both": Derivation(**{"from": ["logged", "a"], "as": "product"}).model_dump(mode="json"),
    }
    assert Deriver(data).extended({"a": 1.0})["both"] == pytest.approx(math.log(2.0))


def test_every_derivation_has_its_types():
    """What a spec may write is what exists."""
    assert set(DERIVATIONS) == set(DERIVATION_TYPES)


@given(st.text(max_size=40))
def test_no_text_breaks_a_derivation(text):
    """Hostile text counts as something or as nothing."""
    for how in ("length", "words", "count", "years"):
        assert _derived(text, how) >= 0.0


def test_a_bundle_that_sorts_its_keys_changes_no_derived_column():
    """A column that reads another derived one is computed after it, whatever the order."""
    data = {
        "z_ratio": {"from": ["a", "b"], "as": "ratio"},
        "a_log": {"from": ["z_ratio"], "as": "log"},
    }
    row = {"a": 6.0, "b": 2.0}
    as_written = Deriver(data).extended(row)
    assert Deriver(dict(sorted(data.items()))).extended(row) == as_written
    assert as_written["a_log"] == pytest.approx(math.log1p(3.0))
