"""The named rules, on each side of their bounds."""

import pytest

from noria.monitoring.checks import check_columns
from noria.monitoring.rules import RULES, Window, degenerate_decision
from noria.records.prediction import Answer, PredictionRecord, TextSignals
from noria.spec.catalog import DRIFT_RULES
from tests.support.production import Production, loan_rows, probability

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
