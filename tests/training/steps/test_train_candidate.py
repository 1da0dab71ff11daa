"""One candidate: searches that go on, searches that are not repeated, equal bytes."""

import json

import pytest

from cli.samples.files import sample_files
from noria.data.versions import decode_rows
from noria.errors import ModelVersionNotFoundError, TrainingFailedError
from noria.spec.features import Derivation, NumericFeature
from noria.spec.model import SearchRange
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.pipeline import run_training
from tests.support.rows import ticket_csv
from tests.support.specs import quick_tickets

_FOLDER = "runs/quick/run/candidates/logistic"


def _spec():
    spec = quick_tickets()
    space = {"C": SearchRange(low=0.01, high=10.0, log=True), "l1_ratio": (0.0, 1.0)}
    logistic = spec.candidates[0].model_copy(update={"params": {"solver": "saga"}, "space": space})
    search = spec.search.model_copy(update={"kind": "tpe", "trials": 12})
    return spec.model_copy(update={"candidates": (logistic,), "search": search})


class _Store(MemoryArtifacts):
    """Dies at the n-th write of a search's journal."""

    def __init__(self, dies_at=None):
        super().__init__()
        self.dies_at, self.n_journals = dies_at, 0

    def put(self, key, body, *, if_absent=False):
        super().put(key, body, if_absent=if_absent)
        if key.endswith("search.json"):
            self.n_journals += 1
            if self.n_journals == self.dies_at:
                raise KeyboardInterrupt


def _prepared(artifacts, spec, run_id="run"):
    artifacts.objects["inbox/rows.csv"] = ticket_csv(200)
    request = PrepareDatasetRequest("quick", run_id, ("inbox/rows.csv",))
    version = prepare_dataset(request, spec=spec, artifacts=artifacts).dataset_version
    fit_feature_views(
        FitFeatureViewsRequest("quick", run_id, version), spec=spec, artifacts=artifacts
    )
    return version


def _train(artifacts, spec, version, **more):
    request = TrainCandidateRequest("quick", "run", version, "logistic", **more)
    return train_candidate(request, spec=spec, artifacts=artifacts, clock=SteppingClock(), code={})


def _files(artifacts):
    return {key: body for key, body in artifacts.objects.items() if key.startswith(_FOLDER)}


def test_a_search_that_was_cut_off_goes_on_and_ends_with_the_same_bytes():
    """Seed, data and versions decide; not what happened to the process."""
    spec, whole, cut = _spec(), _Store(), _Store(dies_at=5)
    _train(whole, spec, _prepared(whole, spec))
    version = _prepared(cut, spec)
    with pytest.raises(KeyboardInterrupt):
        _train(cut, spec, version)
    _train(cut, spec, version)
    assert cut.n_journals == 12
    assert _files(cut) == _files(whole)


def test_a_candidate_may_search_in_its_own_way():
    """Every value of its grid, where the project searches nothing."""
    spec = quick_tickets()
    own = spec.search.model_copy(update={"kind": "grid"})
    changes = {"params": {}, "space": {"C": (0.1, 1.0, 10.0)}, "search": own}
    logistic = spec.candidates[0].model_copy(update=changes)
    spec = spec.model_copy(update={"candidates": (logistic,)})
    assert spec.search.kind == "none"
    artifacts = MemoryArtifacts()
    assert _train(artifacts, spec, _prepared(artifacts, spec)).n_trials == 3


def test_a_finished_candidate_is_not_trained_again():
    """A run that is started again keeps what it has."""
    spec, store = _spec(), _Store()
    version = _prepared(store, spec)
    first = _train(store, spec, version)
    assert _train(store, spec, version) == first
    assert store.n_journals == 12


def test_a_bundle_knows_the_class_shares_it_was_calibrated_for_where_correcting_helps():
    """Batches are corrected by them; the result says on what evidence, the report shows it."""
    decision = quick_tickets().decision.model_copy(update={"prior_shift": "correct"})
    spec = quick_tickets().model_copy(update={"decision": decision})
    store = MemoryArtifacts()
    store.objects["inbox/rows.csv"] = ticket_csv(300)
    run_training(
        spec, "inbox/rows.csv", "run",
        artifacts=store, aliases=MemoryAliases(), clock=SteppingClock(),
    )  # fmt: skip
    folder = "runs/quick/run/candidates/logistic"
    result = json.loads(store.get(f"{folder}/result.json"))
    bundle = json.loads(store.get(f"{folder}/bundle.json"))
    found = result["prior_shift"]
    assert found["n_rows"] > 200
    assert (found["corrected"] < found["kept"]) == bool(bundle["decision_known_shares"])
    assert bundle["decision_known_shares"] == result["decision"]["known_shares"]


def test_golden_rows_that_overflow_a_model_are_left_out(housing):
    """A ratio of the greatest by the least number has no finite answer; serving refuses it."""
    derived = {"ratio": Derivation(**{"from": ["AGE", "RM"], "as": "ratio"})}
    numbers = NumericFeature(name="n", kind="numeric", columns=("RM", "ratio"))
    columns = {
        name: housing.dataset.columns[name].model_copy(update={"min": None, "max": None})
        for name in ("RM", "AGE")
    }
    spec = housing.model_copy(
        update={
            "derived": derived, "features": (numbers,), "selections": {},
            "dataset": housing.dataset.model_copy(update={"columns": columns}),
            "candidates": tuple(c for c in housing.candidates if c.name == "linear_regression"),
        }
    )  # fmt: skip
    store = MemoryArtifacts()
    header, *lines = sample_files("housing")[0][1].decode().splitlines()
    in_cents = [f"{line}e5" for line in lines]  # the price comes last
    store.objects["inbox/rows.csv"] = "\n".join([header, *in_cents]).encode()
    run = run_training(
        spec, "inbox/rows.csv", "run",
        artifacts=store, aliases=MemoryAliases(), clock=SteppingClock(),
    )  # fmt: skip
    assert run.candidate == "linear_regression"
    golden = decode_rows(store.get("runs/housing/run/candidates/linear_regression/golden.jsonl.gz"))
    assert len(golden) > 10


def test_a_refit_takes_the_parameters_that_a_version_found_and_searches_nothing():
    """New rows, one fit."""
    spec, store = _spec(), MemoryArtifacts()
    store.objects["inbox/first.csv"] = ticket_csv(300)
    run = run_training(
        spec, "inbox/first.csv", "first",
        artifacts=store, aliases=MemoryAliases(), clock=SteppingClock(),
    )  # fmt: skip
    found = json.loads(store.get("runs/quick/first/candidates/logistic/result.json"))
    version = _prepared(store, spec)
    assert _train(store, spec, version, refit_of=run.model_version).n_trials == 1
    again = json.loads(store.get(f"{_FOLDER}/result.json"))
    assert again["params"] == found["params"]
    assert again["trials"][0]["params"] == found["params"]


def test_a_refit_of_a_version_that_does_not_exist_is_refused():
    """Never a silent search instead."""
    spec, store = _spec(), MemoryArtifacts()
    with pytest.raises(ModelVersionNotFoundError):
        _train(store, spec, _prepared(store, spec), refit_of="nothing")


def test_a_result_of_other_rows_cannot_be_chosen_when_the_training_fails(monkeypatch):
    """The same run id on other rows must not find the old candidate's file."""
    store, spec = MemoryArtifacts(), quick_tickets()
    version = _prepared(store, spec)
    _train(store, spec, version)
    stale = json.loads(store.get(f"{_FOLDER}/result.json"))
    stale["subject"]["dataset_version"] = "another"
    store.put(f"{_FOLDER}/result.json", json.dumps(stale).encode())

    def failing(*_args, **_kwargs):
        raise TrainingFailedError("no")

    monkeypatch.setattr("noria.steps.train_candidate.fit", failing)
    with pytest.raises(TrainingFailedError):
        _train(store, spec, version)
    assert json.loads(store.get(f"{_FOLDER}/result.json")) == {}
