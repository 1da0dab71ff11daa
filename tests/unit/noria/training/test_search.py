from noria.spec.model import CandidateSection, SearchRange, SearchSection
from noria.training.search import parameter_sets

SPACE = {
    "C": SearchRange(low=0.01, high=10, log=True),
    "depth": SearchRange(low=2, high=4, integer=True),
    "subsample": SearchRange(low=0.5, high=1.0),
    "kind": ("a", "b"),
}


def _candidate(name="one"):
    return CandidateSection(name=name, algorithm="x", params={"fixed": 1}, space=SPACE)


def test_draws_stay_inside_the_space_and_keep_fixed_parameters():
    """Every value a spec allows, no other."""
    sets = parameter_sets(_candidate(), SearchSection(kind="random", trials=200))
    assert len(sets) == 200
    assert all(0.01 <= s["C"] <= 10 and 0.5 <= s["subsample"] <= 1 for s in sets)
    assert {s["depth"] for s in sets} == {2, 3, 4}
    assert {s["kind"] for s in sets} == {"a", "b"}
    assert {s["fixed"] for s in sets} == {1}


def test_equal_seeds_give_equal_sets_and_candidates_differ():
    """A run can be repeated; two candidates do not share their luck."""
    search = SearchSection(kind="random", trials=5)
    assert parameter_sets(_candidate(), search) == parameter_sets(_candidate(), search)
    assert parameter_sets(_candidate(), search) != parameter_sets(_candidate("two"), search)


def test_without_search_there_is_one_set():
    """Fixed parameters are tried once."""
    fixed = CandidateSection(name="one", algorithm="x", params={"a": 1})
    assert parameter_sets(fixed, SearchSection(kind="random", trials=9)) == [{"a": 1}]
