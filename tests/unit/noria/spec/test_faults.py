import tomllib

import pytest

from noria.spec.faults import faults_of
from tests.support.specs import QUICK_TICKETS


def _faults(*changes):
    text = QUICK_TICKETS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text.splitlines(), faults_of(tomllib.loads(text), text)


def test_a_right_spec_has_none():
    """The control."""
    assert _faults()[1] == []


def test_faults_of_every_kind_are_told_at_once_each_on_its_line():
    """An unknown key, a bad value, and what contradicts the rest."""
    lines, found = _faults(
        ("folds = 2", "folds = 1"),
        ("[promotion]", "[promotion]\ncooldown = 3"),
        ('"random_forest"', '"deep_thought"'),
        ('columns = ["short_description", "close_notes"]', 'columns = ["nope", "close_notes"]'),
    )
    told = {fault.path: lines[fault.line - 1] for fault in found}
    assert told["evaluation.folds"] == "folds = 1"
    assert told["promotion.cooldown"] == "cooldown = 3"
    assert '"deep_thought"' in told["candidates.1.algorithm"]
    assert '"nope"' in told["features.0.columns"]
    assert [fault.line for fault in found] == sorted(fault.line for fault in found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("folds = 2", "foldss = 2", "did you mean folds?"),
        ("folds = 2", "folds = 2\nx = 1", "allowed: bootstrap_replicates, confidence, folds"),
        ('"classification"', '"clasification"', "did you mean 'classification'?"),
        ('kind = "text"', 'kind = "texts"', "kind"),
        ("[promotion]", "[promotions]", "did you mean promotion?"),
    ],
)
def test_what_is_meant_or_allowed_is_said(old, new, said):
    """Beside the path and the line."""
    _, found = _faults((old, new))
    assert any(said in str(fault) for fault in found), [*map(str, found)]


def test_items_that_are_all_faulty_are_no_empty_list():
    """Pydantic counts the valid ones only."""
    _, found = _faults(('stop_words = "spanish"', 'stopwords = "spanish"'))
    assert [fault.path for fault in found] == ["features.0.stopwords"]


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('stop_words = "spanish"', "ngrams = [1]", "features.0.ngrams.1"),
        ('stop_words = "spanish"', 'replace = [["a"]]', "features.0.replace.0.1"),
        ("close_notes = {", '_x = { type = "numbr" }\nclose_notes = {', "dataset.columns._x.type"),
        ("close_notes = {", '"²" = { type = "number" }\nclose_notes = {', "dataset.columns.²"),
        ("min_rows = 50", 'min_rows = 50\ndelimiter = "→"', "dataset.delimiter"),
    ],
)
def test_what_is_half_there_or_oddly_named_is_a_fault_like_others(old, new, path):
    """A list that is too short, a table that is wrong and holds something wrong, a strange name."""
    _, found = _faults((old, new))
    assert path in [fault.path for fault in found]


def test_quotes_inside_a_quoted_key_are_part_of_it():
    """Such a spec is right, and its lines are found."""
    lines, found = _faults(("[split]", '[target.map]\n"a\\"=b" = "0"\n[split]'))
    assert found == []
    assert any("=b" in line for line in lines)


def test_a_value_of_several_types_is_one_fault():
    """It is said once what it may be."""
    _, found = _faults(("[promotion]", "[monitoring]\nrules = 7\n[promotion]"))
    assert [fault.path for fault in found] == ["monitoring.rules"]


def test_what_needs_a_key_that_could_not_be_read_is_not_complained_about():
    """It may be right as it is."""
    _, found = _faults(("[promotion]", '[search]\nkind = "tpee"\ntrials = 3\n[promotion]'))
    assert [fault.path for fault in found] == ["search.kind"]


def test_a_required_key_that_is_absent_is_told_beside_the_others():
    """On the line of its table; what the whole file says cannot be checked then."""
    lines, found = _faults(('primary_metric = "f1_weighted"\n', ""), ("folds = 2", "folds = 1"))
    told = {fault.path: lines[fault.line - 1] for fault in found}
    assert told == {"evaluation.primary_metric": "[evaluation]", "evaluation.folds": "folds = 1"}
