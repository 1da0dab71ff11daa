from noria.data.parsing import RawRecord
from noria.data.schema_inference import ColumnInference
from noria.spec.loader import load_project
from tests.conftest import PROJECTS


def _inferred(rows):
    watched = ColumnInference(load_project("customers", PROJECTS))
    watched.watch(RawRecord(n, row, None) for n, row in enumerate(rows))
    return watched


def test_numbers_and_categories_are_told_apart():
    """Blanks and missing words say nothing about a type."""
    rows = [{"age": "31", "total": " ", "job": "unknown", "flag": "Yes", "target": "1"}]
    rows += [{"age": "4e1", "total": "29.85", "job": "admin.", "flag": "No", "target": "0"}]
    assert _inferred(rows).types() == {
        "age": "number", "total": "number", "job": "category", "flag": "category",
    }  # fmt: skip


def test_what_is_left_out_has_a_reason():
    """Ids by name, categories with too many levels, empty columns."""
    rows = [{"key_value": str(i), "office": f"o{i}", "gone": "", "n": i} for i in range(60)]
    watched = _inferred(rows)
    assert watched.types() == {"n": "number"}
    left = watched.left_out()
    assert left["key_value"] == "named by dataset.drop"
    assert "more than 50 levels" in left["office"]
    assert left["gone"] == "it is empty"


def test_a_few_misprints_leave_a_number_a_number():
    """They are rejected row by row, with their reason."""
    rows = [{"n": str(i)} for i in range(300)] + [{"n": "n/a?"}]
    assert _inferred(rows).types() == {"n": "number"}
    assert _inferred([{"n": "1"}, {"n": "x"}]).types() == {"n": "category"}
