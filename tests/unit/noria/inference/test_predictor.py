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
        ({"x": None}, "inputs", "no value for any column"),
        ({"y": 2}, "x", "required"),
        ({"x": "3"}, "x", "must be a number, got text"),
        ({"x": True}, "x", "must be a number, got a boolean"),
        ({"x": 11}, "x", "must be between 0 and 10"),
        ({"x": 10**400}, "x", "finite"),
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
    changes["columns"]["z"] = {**COLUMN, "required": False}
    for missing in ({"x": "NA"}, {"x": ""}, {"x": " "}, {"x": None}):
        assert _answer({**missing, "z": 2}, **changes) == _answer({"z": 2}, **changes)


def _two_columns(**changes):
    """Return the columns x and z of a model that reads x only."""
    return {"columns": {"x": {**COLUMN, "required": False, **changes}, "z": COLUMN}}


def test_a_gap_is_filled_in_as_in_training_and_named():
    """What training took, serving takes: the block's fill is 0 here."""
    for gap in ({"x": None}, {"x": "NA"}, {}):
        answer = _answer({**gap, "z": 2}, **_two_columns())
        assert answer["value"] == 1.0
        assert answer["warnings"] == [{"field": "x", "reason": "missing; filled in as in training"}]


def test_gaps_of_optional_columns_pass_without_a_word():
    """Their files may lack them."""
    assert "warnings" not in _answer({"z": 2}, **_two_columns(optional=True))


def test_a_column_may_refuse_gaps():
    """In requests and in files."""
    predictor = Predictor(tiny_bundle(**_two_columns(missing="refuse")))
    for from_file in (False, True):
        with pytest.raises(InvalidInputError, match="x: missing, and this column takes no gaps"):
            predictor.answer({"x": None, "z": 2}, from_file=from_file)


def test_a_required_key_is_for_requests_and_its_gaps_are_filled_in_in_files():
    """A file's header was looked at; a request must name what it leaves open."""
    predictor = Predictor(tiny_bundle(**_two_columns(required=True)))
    with pytest.raises(InvalidInputError, match="x: required, but missing"):
        predictor.answer({"z": 2})
    assert predictor.answer({"z": 2}, from_file=True).prediction == 1.0
    assert predictor.answer({"x": None, "z": 2}).prediction == 1.0


def test_more_gaps_than_any_training_row_had_are_refused():
    """79 of 80 values missing must not pass in silence."""
    changes = {**_two_columns(), "max_gaps": 0}
    with pytest.raises(InvalidInputError, match="1 columns have no value; at most 0"):
        _answer({"z": 2}, **changes)
    assert _answer({"z": 2, "x": 1}, **changes)["value"] == 3.0


def test_fields_that_the_model_does_not_read_are_ignored_and_named():
    """A column that training left out, or a misspelt name; many are counted."""
    (warning,) = _answer({"x": 1, "duration": 9})["warnings"]
    assert warning["reason"] == "ignored, the model does not read: duration"
    (warning,) = _answer({"x": 1, **{f"c{n}" * 40: 1 for n in range(12)}})["warnings"]
    assert warning["reason"].endswith("and 2 more")
    assert len(warning["reason"]) < 500


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
    changes["reference"] = {"x": None}
    with pytest.raises(InvalidInputError, match="no words are left"):
        _answer({"x": "¡Hola!"}, **changes)
    with pytest.raises(InvalidInputError, match="at most 20 characters"):
        _answer({"x": "x" * 21}, **changes)
    assert _answer({"x": "otra palabra"}, **changes)["value"] == 1.0


def test_of_many_faults_twenty_are_listed_and_the_others_counted():
    """An answer is not many times larger than its request."""
    columns = {f"column {n}": COLUMN for n in range(60)} | {"x": COLUMN}
    with pytest.raises(InvalidInputError) as caught:
        _answer(dict.fromkeys(columns, "text"), columns=columns)
    faults = caught.value.details["errors"]
    assert len(faults) == 21
    assert faults[-1] == {"field": "inputs", "reason": "41 more fields cannot be read"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"feature_view": {"derived": {}, "blocks": [{}]}}, ModelCorruptError),
        ({"feature_view": {"derived": {}, "blocks": [{"kind": "quantum"}]}}, ModelCorruptError),
        ({"model": {}}, ModelCorruptError),
        ({"max_gaps": ["a"]}, ModelCorruptError),
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
