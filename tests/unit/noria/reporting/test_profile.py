from noria.reporting.profile import profile
from noria.spec.columns import with_columns
from noria.spec.model import ColumnSpec


def _rows(housing, **changes):
    names = list(housing.dataset.columns)
    return [
        {name: changes.get(name, lambda i: float(i % 7))(i) for name in names} for i in range(40)
    ]


def test_a_column_that_differs_by_rounding_only_has_a_profile(housing):
    """Its range leaves no room for bins, and its correlation is noise."""
    rows = _rows(housing, NOX=lambda i: 0.1 + 0.2 if i % 2 else 0.3)
    found = profile(rows, [float(i) for i in range(40)], housing)
    assert sum(found["columns"]["NOX"]["histogram"]["counts"]) == 40


def test_a_level_of_a_personal_column_is_shown_only_where_several_rows_have_it(customers):
    """A level that one row has may be a person's; it is counted all the same."""
    plain, private = (
        with_columns(customers, {"town": "category"}).model_copy(deep=True) for _ in range(2)
    )
    private.dataset.columns["town"] = ColumnSpec(type="category", pii=True)
    rows = [{"town": town} for town in ("a", "a", "b", "b", "me")]
    targets = ["no", "yes", "no", "yes", "no"]
    shown, hidden = (profile(rows, targets, spec)["columns"]["town"] for spec in (plain, private))
    assert set(shown["levels"]) == {"a", "b", "me"}
    assert set(hidden["levels"]) == {"a", "b"}
    assert shown["n_levels"] == hidden["n_levels"] == 3


def test_a_column_without_a_value_has_a_profile(housing):
    """All gaps is something to say, not to fail on."""
    rows = _rows(housing, RM=lambda _: None)
    found = profile(rows, [float(i) for i in range(40)], housing)
    assert found["columns"]["RM"] == {"type": "number", "missing_fraction": 1.0, "n_distinct": 0}
    assert any("RM" in alert for alert in found["alerts"])
