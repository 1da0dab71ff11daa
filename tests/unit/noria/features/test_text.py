import re
import subprocess
import sys
import unicodedata
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.snowball import SnowballStemmer

from noria.features.fitting import stop_words
from noria.features.text import TextPreparer, composed, stemmer

DEFAULTS = {
    "columns": ["t"],
    "clean": ["brackets", "urls", "tags", "digit_words", "non_alphabetic"],
    "replace": [],
    "stop_words": [],
    "stemming": "none",
    "compatible": False,
    "analyzer": "word",
    "ngrams": [1, 1],
}


def _grams(text, **settings):
    return TextPreparer({**DEFAULTS, **settings}).prepare({"t": text})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No INICIA sesión", ["no", "inicia", "sesión"]),
        ("acci\u0301n", ["acc\u00edn"]),
        ("[DBA] ver https://x.org/a?b=1 www.y.com <b>ya</b>", ["ver", "ya"]),
        ("clave/usuario,perfil", ["clave", "usuario", "perfil"]),
        ("caso RQ123 y 45x", ["caso", "y"]),
        ("¿Qué?¡Sí!", ["qué", "sí"]),
        ("uno\n\tdos\u00a0tres", ["uno", "dos", "tres"]),
        ("", []),
        (None, []),
    ],
)
def test_cleaning(text, expected):
    """Accents stay, punctuation separates, numbers and markup go."""
    assert _grams(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("No inicia sesión", ["no", "inicia", "sesin"]), ("a/b c", ["ab", "c"])],
)
def test_compatible_cleans_as_the_old_system_did(text, expected):
    """Who needs the old numbers can have the old quirks."""
    assert _grams(text, compatible=True) == expected


def test_stop_words_go_before_stemming():
    """The list holds words, not stems."""
    assert _grams("la red de la oficina", stop_words=["la", "de"]) == ["red", "oficina"]


def test_the_vendored_spanish_list_has_nltks_313_words():
    """The list travels with the code; nothing is downloaded."""
    words = stop_words("spanish")
    assert len(words) == len(set(words)) == 313
    assert {"de", "también", "tened"} <= set(words)


def test_word_ngrams_are_neighbours_in_order():
    """Bigrams span single blanks, whatever was between the words."""
    assert _grams("a b, c", ngrams=[1, 2]) == ["a", "b", "c", "a b", "b c"]


@given(
    st.lists(st.text("abñé", min_size=1, max_size=7), max_size=4),
    st.integers(1, 3),
    st.integers(0, 3),
)
def test_character_ngrams_equal_scikit_learns(words, shortest, more):
    """char_wb means the same here as there."""
    from sklearn.feature_extraction.text import CountVectorizer

    ngrams = (shortest, shortest + more)
    text = " ".join(words)
    theirs = CountVectorizer(analyzer="char_wb", ngram_range=ngrams).build_analyzer()
    assert sorted(_grams(text, analyzer="char_wb", ngrams=list(ngrams))) == sorted(theirs(text))


def test_stems_equal_nltks_on_common_spanish_words():
    """NLTK is the golden reference; known differences are 18 of 11,563 words."""
    words = (
        "contraseñas bloqueada sesiones rápidamente impresoras conexión aplicativos usuarios "
        "restablecer computadores duplicando calculaba generaron informes permisos carpeta"
    ).split()
    golden = SnowballStemmer("spanish")
    stem = stemmer("spanish")
    assert [stem(word) for word in words] == [golden.stem(word) for word in words]


def test_one_language_is_imported_and_the_package_stays_importable():
    """A cold start pays only for what it uses, and no other import finds an empty package."""
    code = (
        "import sys; from noria.features.text import stemmer; stem = stemmer('spanish'); "
        "assert stem('casas') == 'cas', stem('casas'); "
        "assert 'snowballstemmer.turkish_stemmer' not in sys.modules; "
        "import snowballstemmer; "
        "assert snowballstemmer.stemmer('english').stemWord('houses') == 'hous'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(st.text(max_size=200))
def test_no_text_makes_it_fail(text):
    """Whatever a caller sends, preparing it returns n-grams."""
    assert all(_grams(text, ngrams=[1, 2], stemming="spanish"))


@pytest.mark.parametrize("sign", ["<", "[", "a", "(", "1a", "<a>", "<]"])
def test_hostile_repetition_takes_linear_time(sign):
    """Doubling the text must not quadruple the time: one request could hang the function."""
    assert _steps(sign, 40_000) < 4 * _steps(sign, 20_000) + 0.05


def _steps(sign, n):
    started = process_time()
    _grams(sign * (n // len(sign)), stemming="spanish")
    return process_time() - started


@given(st.text("<>[]ab1 \n", max_size=60))
def test_removing_pairs_equals_the_plain_patterns(text):
    """Linear time changes nothing of the result."""
    expected = re.sub(r"\w*\d\w*", "", re.sub(r"<.*?>+", "", re.sub(r"\[.*?\]", "", text)))
    clean = ["brackets", "tags", "digit_words"]
    assert _grams(text, clean=clean) == re.sub(r"[<>\[\]]", " ", expected).split()


@given(st.text(max_size=200))
def test_texts_are_composed_as_unicode_says(text):
    """No language writes more than a few marks on a letter."""
    assert composed(text) == unicodedata.normalize("NFC", text)


def test_a_run_of_marks_is_cut_where_streams_of_unicode_are():
    """Sorting thousands of them takes quadratic time; letters and other signs all stay."""
    marks = "\u0301\u0323" * 20_000
    assert composed("a" + marks + "b") == composed("a" + marks[:30] + "b")
    assert composed("😀" * 100 + "…" * 100) == "😀" * 100 + "…" * 100
    assert composed("a" + marks[:30]) == unicodedata.normalize("NFC", "a" + marks[:30])


_CLEANINGS = [(), ("urls", "digit_words", "non_alphabetic"), ("brackets", "urls", "tags"),
              ("brackets", "urls", "tags", "digit_words", "non_alphabetic")]  # fmt: skip
_PIECES = st.sampled_from(
    ["a", "Σ", "ΟΔΟΣ", "[", "]", "<", ">", "http://x.es", "www.", "\n", "\r", "\x1e", "\x85", " ",
     "7", "x9y", "¿", "ñ", "n\u0303", "\u0301" * 40, "İ", "-", "\x00", "..."]
)  # fmt: skip


@pytest.mark.parametrize("clean", _CLEANINGS)
@pytest.mark.parametrize("compatible", [False, True])
@given(texts=st.lists(st.one_of(st.text(max_size=40), st.lists(_PIECES).map("".join)), max_size=6))
def test_many_texts_have_the_tokens_that_each_has_alone(clean, compatible, texts):
    """What stands between them lets no step look across: not a tag, an address or a last sigma."""
    preparer = TextPreparer(
        {"columns": [], "clean": clean, "replace": [], "stop_words": ["a"], "stemming": "spanish",
         "compatible": compatible, "analyzer": "word", "ngrams": [1, 1]}
    )  # fmt: skip
    assert preparer.token_lists(texts) == [preparer.tokens(text) for text in texts]


def test_a_specs_own_replacements_see_one_text_at_a_time():
    """An anchor is the text's, not the column's."""
    preparer = TextPreparer(
        {"columns": [], "clean": [], "replace": [["^re ", ""]], "stop_words": [],
         "stemming": "none", "compatible": False, "analyzer": "word", "ngrams": [1, 1]}
    )  # fmt: skip
    assert preparer.token_lists(["re uno", "re dos"]) == [["uno"], ["dos"]]
