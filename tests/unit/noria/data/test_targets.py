import pytest

from noria.data.targets import TargetReader
from noria.data.validation import target_contract


def _reader(spec):
    return TargetReader(
        spec.project.task, target_contract(spec), missing=spec.dataset.missing,
        classes=spec.target.labels,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("1", "yes"), (1, "yes"), ("1.0", "yes"), (0.0, "no"), (" Yes ", "yes"), ("bad", "yes"),
        ("", None), ("NA", None), (None, None),
    ],
)  # fmt: skip
def test_a_class_is_read_through_the_specs_mapping(customers, cell, read):
    """Aliases of a class, numbers written in any way, and gaps."""
    assert _reader(customers).read(cell) == (read, None)


@pytest.mark.parametrize("cell", ["maybe", "2", True, [], {}, float("inf")])
def test_what_is_no_class_has_a_reason(customers, cell):
    """Never None and None, which means "no label yet"."""
    label, reason = _reader(customers).read(cell)
    assert label is None
    assert reason


@pytest.mark.parametrize(
    "unseen",
    [
        *("\x07", "\n", "\x1b[2J", "\x85", "\xad", "\u061c", "\u200b", "\u200e", "\u2028"),
        *("\u202e", "\u2060", "\ufeff"),
    ],
)
def test_a_label_that_shows_otherwise_than_it_is_has_a_reason(tickets, unseen):
    """A class's name stands on pages, in terminals and in messages."""
    reason = "must not hold control characters"
    assert _reader(tickets).read(f"a{unseen}b") == (None, reason)
    assert _reader(tickets).read(" Impresión\xa0ñ ")[0] == "Impresión\xa0ñ"


def test_words_for_no_label_yet_are_no_fault(tickets):
    """They are counted apart, not quarantined."""
    assert _reader(tickets).read("Sin Categoria") == (None, None)


def test_a_value_of_a_regression_lies_in_the_specs_range(housing):
    """The target of housing is not negative."""
    assert _reader(housing).read("24") == (24.0, None)
    assert _reader(housing).read(-1)[1] == "outside [0.0, None]"


@pytest.mark.parametrize("project", ["housing", "customers", "tickets"])
@pytest.mark.parametrize("digits", [400, 5000])
def test_an_integer_of_any_length_is_refused_with_a_reason(request, project, digits):
    """It is beyond a double's range, and Python refuses to print the longest ones."""
    label, reason = _reader(request.getfixturevalue(project)).read(-(10**digits))
    assert (label, reason) == (None, "must be a finite number")
