import re

from hypothesis import given
from hypothesis import strategies as st

from noria.features.text_signals import ADDRESS, MAX_WATCHED, TextObserver, watched_words


def test_words_of_few_texts_are_not_watched():
    """A name that one customer has must not be in a bundle."""
    texts = ["el correo no llega"] * 12 + ["Ana Torres llamó"] * 3
    assert watched_words(texts) == ["correo", "el", "llega", "no"]


def test_at_most_so_many_words_are_watched():
    """The bundle has a bound."""
    texts = [" ".join(f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(600))] * 10
    assert len(watched_words(texts)) == MAX_WATCHED


def test_signals_hold_no_sentence():
    """Numbers and places of frequent words are all that leaves."""
    observer = TextObserver({"text": ["correo"]})
    found = observer.observe({"text": "El correo de Ana Torres, DNI 12345678", "other": "x"})
    assert set(found) == {"text"}
    assert found["text"].terms == (0,)
    assert "Ana" not in str(found)
    assert 0.0 < found["text"].rare < 1.0


def test_a_missing_text_has_no_signals():
    """It is counted as missing, not as empty."""
    assert TextObserver({"text": ["a"]}).observe({"text": None}) == {}
    assert TextObserver({"text": ["a"]}).observe({}) == {}


def test_words_that_may_name_a_person_are_not_watched():
    """One customer may write ten tickets: numbers, ids and addresses stay out."""
    texts = ["tel 612345678 DNI 12345678Z correo ana.perez@acme.com"] * 12
    assert watched_words(texts) == ["correo", "dni", "tel"]
    assert watched_words(["pérez no entra"] * 12 + ["no entra"] * 2000) == ["entra", "no"]


@given(st.text(alphabet="a@ \n\u00e1\u0130.", max_size=60))
def test_addresses_are_found_in_linear_time_as_the_plain_pattern_finds_them(text):
    """The plain one tries every start of a word again."""
    assert re.sub(ADDRESS, " ", text) == re.sub(r"\S+@\S+", " ", text)
