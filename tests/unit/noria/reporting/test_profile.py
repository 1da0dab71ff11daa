from noria.reporting.profile import profile


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


def test_a_column_without_a_value_has_a_profile(housing):
    """All gaps is something to say, not to fail on."""
    rows = _rows(housing, RM=lambda _: None)
    found = profile(rows, [float(i) for i in range(40)], housing)
    assert found["columns"]["RM"] == {"type": "number", "missing_fraction": 1.0, "n_distinct": 0}
    assert any("RM" in alert for alert in found["alerts"])
