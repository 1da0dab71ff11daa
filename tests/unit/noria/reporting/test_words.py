from noria.records.training import Selection
from noria.reporting.words import failed_candidates_text


def test_failed_candidates_are_named_with_what_is_known_of_the_reason():
    """A person can then give it more time or memory, or leave it out."""
    selection = Selection("a", "f1", (), ("b", "c", "d"), {"b": "Sandbox.Timedout", "c": "New"})
    assert failed_candidates_text(selection) == (
        "b (it took longer than a candidate may); c (New); d"
    )
    assert failed_candidates_text(Selection("a", "f1", (), ())) == ""
