import math

import pytest

from noria.errors import TrainingFailedError
from noria.records.codec import from_bytes, to_bytes
from noria.records.training import Trial
from noria.spec.model import CandidateSection, SearchRange, SearchSection
from noria.training.search import ParameterSearch

SPACE = {
    "C": SearchRange(low=0.01, high=10, log=True),
    "depth": SearchRange(low=2, high=4, integer=True),
    "subsample": SearchRange(low=0.5, high=1.0),
    "kind": ("a", "b"),
}


def _search(kind="tpe", trials=30, name="one", space=SPACE, seconds=lambda: 0.0, **settings):
    candidate = CandidateSection(name=name, algorithm="x", params={"fixed": 1}, space=space)
    section = SearchSection(kind=kind, trials=trials, **settings)
    return ParameterSearch(candidate, section, greater_is_better=True, seconds=seconds)


def _score(params, report):
    """Best at C = 1, depth 4: two folds a little apart."""
    score = -abs(math.log(params["C"])) + params["depth"]
    scores = []
    for fold, shift in enumerate((0.1, -0.1)):
        scores.append(score + shift)
        if report(fold, sum(scores) / len(scores)):
            break
    return scores


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_proposals_stay_inside_the_space_and_keep_fixed_parameters(kind):
    """Every value a spec allows, no other."""
    trials = _search(kind, 60, prune=False).run(_score).trials
    assert len(trials) == 60
    assert all(0.01 <= t.params["C"] <= 10 and 0.5 <= t.params["subsample"] <= 1 for t in trials)
    assert {t.params["depth"] for t in trials} == {2, 3, 4}
    assert {t.params["kind"] for t in trials} == {"a", "b"}
    assert {t.params["fixed"] for t in trials} == {1}


def test_equal_seeds_give_equal_searches_and_candidates_differ():
    """A run can be repeated; two candidates do not share their luck."""
    assert _search().run(_score) == _search().run(_score)
    assert _search(name="two").run(_score).trials != _search().run(_score).trials


@pytest.mark.parametrize("kind", ["random", "tpe"])
@pytest.mark.parametrize("cut", [1, 9, 17, 30])
def test_a_search_that_was_cut_off_ends_as_one_that_was_not(kind, cut):
    """Continued from its journal, through JSON, pruned trials included."""
    whole = _search(kind).run(_score)
    journal = [from_bytes(Trial, to_bytes(trial)) for trial in whole.trials[:cut]]
    assert _search(kind).run(_score, earlier=journal) == whole


GRID = {"C": (0.1, 1.0, 10.0), "depth": (2, 4), "kind": ("a", "b")}


def test_a_grid_tries_every_combination_once_however_many_trials_are_asked_for():
    """In one order, whatever the seed; the best one is found."""
    end = _search("grid", 3, space=GRID, prune=False).run(_score)
    tried = [(t.params["C"], t.params["depth"], t.params["kind"]) for t in end.trials]
    assert tried == [(c, d, k) for c in (0.1, 1.0, 10.0) for d in (2, 4) for k in ("a", "b")]
    assert (end.best.params["C"], end.best.params["depth"]) == (1.0, 4)
    assert _search("grid", 3, space=GRID, prune=False, seed=7).run(_score) == end


@pytest.mark.parametrize("cut", [1, 5, 11])
def test_a_grid_that_was_cut_off_ends_as_one_that_was_not(cut):
    """No combination twice, none left out; those behind are given up as in any search."""
    whole = _search("grid", space=GRID).run(_score)
    journal = [from_bytes(Trial, to_bytes(trial)) for trial in whole.trials[:cut]]
    assert _search("grid", space=GRID).run(_score, earlier=journal) == whole
    assert len(whole.trials) == 12


def test_tpe_finds_better_than_chance_from_the_same_number_of_trials():
    """That is what it is for."""
    best = {kind: _search(kind, 40, prune=False).run(_score).best.mean for kind in ("random", "tpe")}  # fmt: skip
    assert best["tpe"] > best["random"]


def test_without_a_search_the_candidates_own_parameters_are_tried_once():
    """A space that is not searched gives no result."""
    end = _search("none", 40).run(lambda params, report: [1.0])
    assert [trial.params for trial in end.trials] == [{"fixed": 1}]


def test_laggards_are_given_up_after_a_fold_and_never_win():
    """Their one fold costs half of what two do."""
    end = _search(trials=40).run(_score)
    pruned = [trial for trial in end.trials if trial.state == "pruned"]
    assert len(pruned) > 5
    assert {len(trial.scores) for trial in pruned} <= {1, 2}
    assert end.best.state == "complete"
    assert all(trial.state == "complete" for trial in _search(prune=False).run(_score).trials)


def test_the_journal_is_kept_after_each_trial():
    """A function that dies loses one trial."""
    kept = []
    _search(trials=5).run(_score, keep=lambda trials: kept.append(len(trials)))
    assert kept == [1, 2, 3, 4, 5]


def test_no_trial_starts_after_the_time_budget_and_one_always_runs():
    """What ended the search is said."""
    ticks = iter(range(0, 1000, 4))
    end = _search(trials=50, max_seconds=10.0, seconds=lambda: next(ticks)).run(_score)
    assert end.stopped_by == "time"
    assert len(end.trials) == 3
    late = _search(trials=50, max_seconds=1.0, seconds=iter([0, 99, 199]).__next__).run(_score)
    assert len(late.trials) == 1


def test_a_trial_that_cannot_be_fitted_leaves_the_others():
    """Its reason is kept."""

    def choosy(params, report):
        if params["kind"] == "a":
            raise TrainingFailedError("a does not fit")
        return _score(params, report)

    end = _search(trials=20).run(choosy)
    failed = [trial for trial in end.trials if trial.state == "failed"]
    assert failed
    assert {trial.reason for trial in failed} == {"a does not fit"}
    assert end.best.params["kind"] == "b"


def test_when_every_trial_fails_the_candidate_fails_with_the_last_reason():
    """The state machine goes on without it."""

    def never(params, report):
        raise TrainingFailedError("nothing fits")

    with pytest.raises(TrainingFailedError, match="'one' cannot be fitted: nothing fits"):
        _search(trials=3).run(never)


def test_without_a_space_there_is_one_trial():
    """Fixed parameters are tried once."""
    end = _search("random", 9, space={}).run(lambda params, report: [1.0])
    assert [trial.params for trial in end.trials] == [{"fixed": 1}]
