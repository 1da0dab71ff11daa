"""Whether a rollout step passes, waits or is breached."""

import gzip
from types import SimpleNamespace

import numpy as np
import pytest

from noria.monitoring.profiles import LevelProfile
from noria.monitoring.sources import PREDICTION
from noria.promotion.rollout import _one_class
from noria.storage.hashing import canonical_json
from noria.storage.hours import hour_name
from noria.storage.keys import batch_check_id, profile_key
from tests.support.production import loan_rows, records_of
from tests.support.rollouts import AT, advance, check_step


def test_few_requests_wait_and_then_take_the_challenger_back(p):
    """Without a comparison there is no promotion."""
    advance(p, 0, 1)
    p.log(loan_rows(10), AT, version="v2")
    assert check_step(p).verdict == "wait"
    last = check_step(p, n_waits=2)
    assert last.verdict == "breach"
    assert "noria promote loans v2" in last.summary


def _traffic(p, n=120, **challenger):
    advance(p, 0, 1)
    rows = loan_rows(n, seed=8)
    ids = p.log(rows, AT)
    other = p.log(rows, AT, version="v2", **challenger)
    return rows, ids, other


def test_rows_of_files_are_no_traffic_of_a_rollout(p):
    """The champion alone answers files: its requests are compared, and without any it waits."""
    advance(p, 0, 1)
    p.log(loan_rows(120, seed=8), AT, version="v2")
    window = p.reference.of(records_of(loan_rows(3000, seed=9)))
    body = gzip.compress(canonical_json(window.to_dict()))
    p.store.put(profile_key("loans", "v1", hour_name(AT), batch_check_id("j1")), body)
    assert check_step(p).verdict == "wait"
    p.log(loan_rows(120, seed=8), AT)
    assert check_step(p).verdict == "pass"


@pytest.mark.parametrize(("setting", "verdict"), [("wait", "wait"), ("pass", "pass")])
def test_a_step_in_which_nobody_asked_passes_only_where_the_spec_says_so(p, setting, verdict):
    """A project that lives on files would never promote. One request is enough to wait for more."""
    rollout = p.spec.rollout.model_copy(update={"without_requests": setting})
    p.spec = p.spec.model_copy(update={"rollout": rollout})
    advance(p, 0, 1)
    assert check_step(p).verdict == verdict
    p.log(loan_rows(1), AT)
    assert check_step(p).verdict == "wait"


def test_a_challenger_that_behaves_passes(p):
    """Same rows, same answers."""
    _traffic(p)
    assert check_step(p).verdict == "pass"


@pytest.mark.parametrize(
    ("challenger", "said"),
    [
        ({"failed": True}, "could not answer 100.0%"),
        ({"latency_ms": 900.0}, "95th percentile"),
        ({"answer": "yes"}, "'yes' to 100.0%"),
    ],
    ids=["errors", "slow", "one class"],
)
def test_a_challenger_that_misbehaves_is_a_breach(p, challenger, said):
    """Each in its own words."""
    _traffic(p, **challenger)
    found = check_step(p)
    assert found.verdict == "breach"
    assert said in found.summary


@pytest.mark.parametrize("n", [20, 25, 35])
def test_a_challenger_that_answers_one_class_to_few_requests_is_a_breach_too(n):
    """No share of so few is surely above nine tenths; the champion's shows what it is."""
    counts = [n // 2, n - n // 2]
    (breach,) = _one_class_breaches([0, n], counts)
    assert f"'yes' to 100.0% of {n} requests, the champion to 5" in breach.text
    assert not _one_class_breaches([2, n - 2], counts)


def test_an_equal_challenger_is_taken_for_one_that_answers_one_class_once_in_hundreds():
    """Of challengers that answer as the champion does, at any share and number of requests."""
    rng, n_taken, n_cases = np.random.default_rng(5), 0, 3000
    for _ in range(n_cases):
        share, n = rng.uniform(0.3, 0.9), int(rng.integers(20, 200))
        pair = [rng.multinomial(n, [1.0 - share, share]) for _ in range(2)]
        n_taken += bool(_one_class_breaches(*pair))
    assert n_taken <= n_cases / 200


def _one_class_breaches(challenger, champion):
    def window(counts):
        levels = LevelProfile(("no", "yes"), np.array([*counts, 0]))
        return SimpleNamespace(columns={PREDICTION: levels})

    return [*_one_class(window(champion), window(challenger))]


def test_a_slow_challenger_below_the_bound_is_no_breach(p):
    """Three times of nothing is nothing."""
    _traffic(p, latency_ms=50.0)
    assert check_step(p).verdict == "pass"


def test_a_challenger_that_nothing_compares_with_waits_and_is_taken_back(p):
    """The champion answered nothing in these hours: a bad challenger would not be seen."""
    advance(p, 0, 1)
    p.log(loan_rows(120, seed=8), AT, version="v2", answer="yes")
    assert check_step(p).verdict == "wait"
    last = check_step(p, n_waits=2)
    assert last.verdict == "breach"
    assert "and 0 of the champion" in last.summary


def test_two_failures_are_not_yet_a_reason(p):
    """One may be anything; a share needs numbers."""
    _traffic(p)
    p.log(loan_rows(2, seed=9), AT, version="v2", failed=True)
    assert check_step(p).verdict == "pass"


def test_surely_worse_answers_on_labels_are_a_breach(p):
    """When labels come in time, quality counts."""
    rows, ids, other = _traffic(p, n=300)
    truth = ["yes" if t else "no" for t in p.truth(rows, seed=4)]
    wrong = ["no" if t == "yes" else "yes" for t in truth]
    p.label(ids, truth, AT)
    p.label(other, wrong, AT)
    found = check_step(p)
    assert found.verdict == "breach"
    assert "accuracy" in found.summary
