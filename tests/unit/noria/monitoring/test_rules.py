"""The named rules, on each side of their bounds."""

import numpy as np
import pytest
from pydantic import ValidationError

from noria.monitoring.checks import check_columns
from noria.monitoring.rules import RULES, Window, degenerate_decision
from noria.records.drift import ColumnFinding
from noria.records.prediction import Answer, PredictionRecord, TextSignals
from noria.spec.catalog import DRIFT_RULES
from noria.spec.operations import ThresholdsSection
from tests.support.production import (
    Production,
    loan_rows,
    loan_spec,
    probability,
    records_of,
)

P = Production()


def _window(records, findings=()):
    current = P.reference.of(records)
    return Window(P.spec, P.reference, current, findings)


def _records(rows, *, share=None, said=None):
    made = []
    for row in rows:
        p = probability(row) if share is None else share
        prediction = said or ("yes" if p > 0.5 else "no")
        answer = Answer(prediction, max(p, 1 - p), {"no": 1 - p, "yes": p})
        made.append(PredictionRecord("", "v1", "", answer=answer, inputs=row))
    return made


def _unsure(record):
    return record._replace(answer=record.answer._replace(confidence=0.4))


def _calling(record, name):
    return record._replace(answer=record.answer._replace(prediction=name))


def _broken(rule, records, findings=()):
    return RULES[rule](_window(records, findings)).is_broken


def test_the_catalog_names_what_there_is():
    """A spec is checked without scipy."""
    assert set(RULES) == DRIFT_RULES


def test_usual_traffic_breaks_no_rule():
    """None of them calls on the training distribution."""
    records = _records(loan_rows(500, seed=50))
    for name in RULES:
        found = RULES[name](_window(records))
        assert found is None or not found.is_broken, name  # the texts were not sent


@pytest.mark.parametrize(("n_yes", "is_broken"), [(3, False), (0, True)])
def test_class_share_needs_surely_less_than_a_tenth(n_yes, is_broken):
    """Three of 50 may be a tenth; none of 100 is not."""
    n = 50 if n_yes else 100
    rows = loan_rows(n)
    records = _records(rows[n_yes:], said="no") + _records(rows[:n_yes], said="yes")
    assert _broken("class_share", records) is is_broken


def test_a_class_that_was_always_rare_is_no_alarm():
    """13.6 % in truth: 21 % of batches of 30 fall below a tenth by chance."""
    import numpy as np

    rng, alarms = np.random.default_rng(0), 0
    for _ in range(200):
        rows = loan_rows(30)
        n_yes = int(rng.binomial(30, 0.136))
        records = _records(rows[n_yes:], said="no") + _records(rows[:n_yes], said="yes")
        alarms += _broken("class_share", records)
    assert alarms <= 4


@pytest.mark.parametrize(("share", "is_broken"), [(0.49, False), (0.45, False)])
def test_two_classes_are_never_less_sure_than_a_half(share, is_broken):
    """Confidence below 0.5 needs three classes; the rule stays quiet."""
    assert _broken("low_confidence", _records(loan_rows(200), share=share)) is is_broken


def test_low_confidence_needs_surely_more_than_three_of_ten():
    """Of answers whose confidence is below 0.5."""
    rows = loan_rows(100)
    unsure = [_unsure(record) for record in _records(rows[:50])]
    assert _broken("low_confidence", unsure + _records(rows[50:]))
    few = [_unsure(record) for record in _records(rows[:32])]
    assert not _broken("low_confidence", few + _records(rows[32:]))


def test_mean_confidence_below_six_tenths():
    """Surely, and below what it was."""
    assert _broken("mean_confidence", _records(loan_rows(200), share=0.55))
    assert not _broken("mean_confidence", _records(loan_rows(200), share=0.65))


def test_shifted_means_are_held_to_standard_errors():
    """Half a deviation is sure on 300 rows; two deviations of single values it is not."""
    assert _broken("mean_shift", _records(loan_rows(300, shift=0.5)))
    assert not _broken("mean_shift", _records(loan_rows(300, shift=0.05)))


def test_drifted_share_counts_corrected_columns():
    """One of seven columns is 14 %."""

    def findings(rows):
        current = P.reference.of(_records(rows))
        return check_columns(
            P.reference.profile.columns, current.columns, effects={"ks": 0.08}, alpha=0.005
        )

    one = findings(loan_rows(400, shift=1.0))
    columns = {f.column for f in one if not f.column.startswith("(")}
    drifted = {f.column for f in one if f.is_drifted} & columns
    assert drifted == {"x"}
    assert len(columns) == 7
    assert not _broken("drifted_share", _records(loan_rows(400, shift=1.0)), one)
    both = findings([{**r, "z": r["z"] + 1.0} for r in loan_rows(400, shift=1.0)])
    assert _broken("drifted_share", _records(loan_rows(400)), both)


def test_text_score_adds_up_and_needs_more_than_a_half():
    """Lengths 0.3, classes 0.4, new words 0.3."""

    def signals(n, rare):
        return {"note": TextSignals(n, 5, rare, ())}

    rows = loan_rows(200, seed=60)
    records = _records(rows)
    usual = [r._replace(signals=signals(25 + i % 5, 0.2)) for i, r in enumerate(records)]
    longer = [r._replace(signals=signals(300, 0.2)) for r in records]
    assert RULES["text_score"](_window(longer)).text.startswith("drift score 0.3")
    assert not RULES["text_score"](_window(longer)).is_broken
    other = [r._replace(signals=signals(300, 0.9)) for r in records]
    assert RULES["text_score"](_window(other)).is_broken
    assert RULES["text_score"](_window(usual)) is not None


@pytest.mark.parametrize(
    ("said", "is_broken"), [(0.5, False), (0.7, False), (0.9, True), (1.0, True), (0.1, True)]
)
def test_a_decision_that_collapses_is_degenerate(said, is_broken):
    """Half of the answers were "yes": a third of the usual share, or less, is too little."""
    rows = loan_rows(400, seed=60)
    n = int(said * len(rows))
    found = degenerate_decision(
        _window(_records(rows[:n], said="yes") + _records(rows[n:], said="no"))
    )
    assert (found.is_broken, found.is_overwhelming) == (is_broken, is_broken)


def test_few_answers_of_one_class_prove_no_collapse():
    """Five in a row happen."""
    assert not degenerate_decision(_window(_records(loan_rows(5), said="yes"))).is_broken


def _with(note, n=200):
    """Return records of usual rows whose texts are others."""
    return records_of([{**row, "note": note} for row in loan_rows(n, seed=51)])


def _said_yes(n_yes, n=400):
    rows = loan_rows(n)
    return _records(rows[n_yes:], said="no") + _records(rows[:n_yes], said="yes")


def _columns(n_drifted):
    """Return findings of four columns, some of which have drifted."""
    return [ColumnFinding(f"c{i}", "ks", 0.2, 0.08, 0.0, 0.0, i < n_drifted, "") for i in range(4)]


UNSURE = [_unsure(record) for record in _records(loan_rows(300, seed=52))]
SOME_UNSURE = UNSURE[:180] + _records(loan_rows(120, seed=53), share=0.99)
LONG, STRANGE = "todo en orden " * 9, "xa xb xc"  # longer texts, and rare words too
ALL_YES = [_calling(record, "yes") for record in _with(LONG)]
# Each bound: the rule, another value, what breaks the rule at the default and not at the other.
BOUNDS = {
    "class_share_least": ("class_share", 0.02, _said_yes(10), ()),
    "class_share_most": ("class_share", 0.99, _said_yes(390), ()),
    "low_confidence": ("low_confidence", 0.3, UNSURE, ()),
    "low_confidence_share": ("low_confidence", 0.9, SOME_UNSURE, ()),
    "mean_confidence": ("mean_confidence", 0.3, UNSURE, ()),
    "drifted_share": ("drifted_share", 0.5, (), _columns(1)),
    "mean_shift": ("mean_shift", 2.0, _records(loan_rows(300, seed=54, shift=1.0)), ()),
    "text_score": ("text_score", 0.9, ALL_YES, ()),
    "text_score_lengths": ("text_score", 0.05, ALL_YES, ()),
    "text_score_classes": ("text_score", 0.05, ALL_YES, ()),
    "text_score_words": ("text_score", 0.05, _with(STRANGE), ()),
    "text_score_growth": ("text_score", 9.0, _with(STRANGE), ()),
}
# Of two classes one is rare where the other is frequent.
_OTHER_SIDE = {
    "class_share_least": {"class_share_most": 0.999},
    "class_share_most": {"class_share_least": 0.001},
}


@pytest.mark.parametrize("key", BOUNDS)
def test_each_bound_of_a_rule_is_a_key_of_the_spec(key):
    """The default breaks, another value does not."""
    rule, other, records, findings = BOUNDS[key]
    broken = []
    for value in (getattr(P.spec.monitoring.thresholds, key), other):
        changed = {**_OTHER_SIDE.get(key, {}), key: value}
        bounds = P.spec.monitoring.thresholds.model_copy(update=changed)
        spec = loan_spec(monitoring={"thresholds": bounds})
        current = P.reference.of(records)
        broken.append(RULES[rule](Window(spec, P.reference, current, findings)).is_broken)
    assert broken == [True, False]


@pytest.mark.parametrize(("how", "is_broken"), [("above", False), ("from", True)])
def test_a_share_of_drifted_columns_may_break_at_its_bound(how, is_broken):
    """The replaced system says `>=` in one place and `>` in another."""
    bounds = P.spec.monitoring.thresholds.model_copy(
        update={"drifted_share": 0.25, "drifted_share_breaks": how}
    )
    spec = loan_spec(monitoring={"thresholds": bounds})
    window = Window(spec, P.reference, P.reference.empty(), _columns(1))
    assert RULES["drifted_share"](window).is_broken is is_broken


def test_every_bound_is_tried():
    """A new one too."""
    assert {*BOUNDS, "drifted_share_breaks"} == set(ThresholdsSection.model_fields)


def test_every_confidence_that_can_be_named_is_an_edge_of_the_bins():
    """Else answers above the bound would be counted as below it."""
    profile = P.reference.profile.columns["(confidence)"]
    for step in range(1, 200):
        assert np.min(np.abs(profile.edges - step * 0.005)) < 1e-12
    with pytest.raises(ValidationError, match=r"multiple of 0\.005"):
        ThresholdsSection(low_confidence=0.502)
