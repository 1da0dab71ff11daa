import json

import pytest

from noria.errors import TrainingFailedError
from noria.records.codec import to_bytes
from noria.records.training import (
    CandidateCalibration,
    CandidateDecision,
    CandidateResult,
    TrainingSubject,
)
from noria.steps.select_challenger import (
    CandidateFailure,
    SelectChallengerRequest,
    select_challenger,
)
from noria.storage.keys import RESULT, candidate_key
from tests.support.fakes import MemoryArtifacts
from tests.support.specs import quick_tickets


def _result(name, mean):
    return CandidateResult(
        name, "a", "f1", mean, (mean,), {}, CandidateCalibration(1.0, ()), CandidateDecision(()), "trials", (),
        TrainingSubject("d", "s", None),
    )  # fmt: skip


def _selected(scores, *failures):
    artifacts, spec = MemoryArtifacts(), quick_tickets()
    for name, mean in scores.items():
        artifacts.put(candidate_key("quick", "run", name, RESULT), to_bytes(_result(name, mean)))
    request = SelectChallengerRequest("quick", "run", failures)
    result = select_challenger(request, spec=spec, artifacts=artifacts)
    return result, json.loads(artifacts.get("runs/quick/run/selection.json"))


def test_the_best_mean_wins_and_a_tie_goes_to_the_earlier():
    """The spec's order is the author's preference."""
    assert _selected({"logistic": 0.7, "forest": 0.8})[0].candidate == "forest"
    assert _selected({"logistic": 0.8, "forest": 0.8})[0].candidate == "logistic"


def test_a_candidate_that_could_not_be_fitted_leaves_the_others():
    """It is counted and named."""
    result, selection = _selected({"forest": 0.8})
    assert (result.candidate, result.n_failed) == ("forest", 1)
    assert (selection["failed"], selection["errors"]) == (["logistic"], {})


def test_the_error_of_a_candidate_that_died_is_kept():
    """A result that it has is of an earlier attempt, perhaps on other rows: it does not count."""
    died = CandidateFailure("logistic", "Sandbox.Timedout")
    result, selection = _selected({"forest": 0.8, "logistic": 0.9}, died)
    assert result.candidate == "forest"
    assert (selection["failed"], selection["errors"]) == (["logistic"], {"logistic": died.error})


def test_without_any_candidate_the_run_fails():
    """There is nothing to evaluate."""
    with pytest.raises(TrainingFailedError, match="no candidate") as caught:
        _selected({}, CandidateFailure("logistic", "Runtime.ExitError"))
    assert caught.value.details["errors"] == {"logistic": "Runtime.ExitError"}
