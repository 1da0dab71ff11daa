import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.errors import InvalidInputError, ModelCorruptError, ModelIncompatibleError
from noria.inference.predictor import Predictor
from tests.support.trained import COLUMN, tiny_bundle


def _answer(inputs, **changes):
    return Predictor(tiny_bundle(**changes)).answer(inputs).to_dict()


def test_a_good_row_is_answered():
    """2 x + 1."""
    assert _answer({"x": 3}) == {"prediction": 7.0, "value": 7.0}


@pytest.mark.parametrize(
    ("inputs", "field", "said"),
    [
        ({}, "x", "required"),
        ({"x": None}, "x", "required"),
        ({"x": "3"}, "x", "must be a number, got str"),
        ({"x": True}, "x", "must be a number, got bool"),
        ({"x": 11}, "x", "must be between 0 and 10, got 11"),
        ({"x": 10**400}, "x", "finite"),
        ({"x": 1, "y": 2}, "y", "unknown field"),
        ([1], "inputs", "JSON object"),
    ],
)
def test_a_bad_row_names_field_and_reason(inputs, field, said):
    """The caller can act on it."""
    with pytest.raises(InvalidInputError) as caught:
        _answer(inputs)
    (fault,) = [f for f in caught.value.details["errors"] if f["field"] == field]
    assert said in fault["reason"]


def test_values_are_read_as_training_read_them():
    """Blanks around a category and words for "missing" mean the same on both sides."""
    view = {
        "name": "c", "kind": "categorical", "columns": ["x"], "fill": ["b"],
        "levels": [["a"]],
    }  # fmt: skip
    changes = {
        "feature_view": {"derived": {}, "blocks": [view]},
        "columns": {
            "x": {**COLUMN, "type": "category", "required": False, "max_length": 9, "seen": None}
        },
    }
    assert _answer({"x": " a "}, **changes) == _answer({"x": "a"}, **changes)
    for missing in ({"x": "NA"}, {"x": ""}, {"x": " "}, {"x": None}):
        assert _answer(missing, **changes) == _answer({}, **changes)
    with pytest.raises(InvalidInputError, match="required, but missing"):
        _answer({"x": " NA "})


def test_numbers_too_large_to_score_are_refused():
    """Infinity is no answer and no JSON."""
    column = {**COLUMN, "max": None, "min": None}
    with pytest.raises(InvalidInputError, match="too large"):
        _answer({"x": 1e308}, columns={"x": column})


def test_bounds_are_inclusive():
    """The limits themselves are allowed."""
    assert _answer({"x": 0})["value"] == 1.0
    assert _answer({"x": 10})["value"] == 21.0


def test_text_that_is_empty_after_cleaning_is_refused():
    """There is nothing to predict from."""
    text = {
        "name": "t", "kind": "text", "columns": ["x"], "clean": [], "replace": [],
        "stop_words": ["hola"], "stemming": "none", "compatible": False, "analyzer": "word",
        "ngrams": [1, 1], "sublinear_tf": False, "weight": 1.0, "terms": ["red"], "idf": [1.0],
        "hashed": False,
    }  # fmt: skip
    column = {**COLUMN, "type": "text", "max_length": 20, "seen": None}
    changes = {"feature_view": {"derived": {}, "blocks": [text]}, "columns": {"x": column}}
    with pytest.raises(InvalidInputError, match="no words are left"):
        _answer({"x": "¡Hola!"}, **changes)
    with pytest.raises(InvalidInputError, match="at most 20 characters"):
        _answer({"x": "x" * 21}, **changes)
    assert _answer({"x": "otra palabra"}, **changes)["value"] == 1.0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"feature_view": {"derived": {}, "blocks": [{}]}}, ModelCorruptError),
        ({"feature_view": {"derived": {}, "blocks": [{"kind": "quantum"}]}}, ModelCorruptError),
        ({"model": {}}, ModelCorruptError),
        ({"model": {"form": "svm", "link": "identity", "n_outputs": 1}}, ModelIncompatibleError),
    ],
)
def test_a_bundle_that_lacks_a_part_is_refused_on_loading(changes, error):
    """Not on the first request."""
    with pytest.raises(error):
        Predictor(tiny_bundle(**changes))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(_JSON | st.fixed_dictionaries({"x": _JSON}))
def test_no_json_value_raises_anything_but_invalid_input(inputs):
    """A caller gets an answer or a reason."""
    try:
        answer = _answer(inputs)
    except InvalidInputError as error:
        answer = {"errors": error.details["errors"]}
    assert set(answer) - {"warnings"} in ({"prediction", "value"}, {"errors"})
