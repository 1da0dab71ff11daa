"""Choose the challenger among the candidates by cross-validation; never by the test rows."""

from dataclasses import dataclass

from noria.errors import TrainingFailedError
from noria.evaluation.metrics import is_better
from noria.evaluation.runs import finished
from noria.ports import ArtifactStore
from noria.records.codec import to_bytes
from noria.records.training import CandidateResult, Selection
from noria.spec.model import ProjectSpec
from noria.storage.keys import RESULT, SELECTION, candidate_key, run_key


@dataclass(frozen=True)
class CandidateFailure:
    """A candidate whose task ended without a result."""

    candidate: str
    error: str  # its name, as Step Functions has it: "Sandbox.Timedout"


@dataclass(frozen=True)
class SelectChallengerRequest:
    """Which run, and which of its candidates failed."""

    project: str
    run_id: str
    failures: tuple[CandidateFailure, ...] = ()


@dataclass(frozen=True)
class SelectChallengerResult:
    """The candidate that goes on."""

    candidate: str
    metric: str
    cv_mean: float
    n_failed: int  # candidates that could not be fitted


def select_challenger(
    request: SelectChallengerRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> SelectChallengerResult:
    """Return the candidate with the best mean score; on a tie, the earlier one in the spec.

    Reads every candidate's `result.json`; writes `runs/<project>/<run_id>/selection.json`.
    Candidates whose task failed, or that have no result, are listed as failed, with the error.

    Raises
    ------
    TrainingFailedError
        Every candidate failed.
    """
    results, failed = [], []
    errors = {failure.candidate: failure.error for failure in request.failures}
    for candidate in spec.candidates:
        key = candidate_key(spec.name, request.run_id, candidate.name, RESULT)
        # A candidate that failed on other rows than an earlier attempt leaves an empty result.
        result = finished(CandidateResult, artifacts, key)
        # One that failed now may have a result of an earlier attempt, on other rows.
        if result is None or candidate.name in errors:
            failed.append(candidate.name)
        else:
            results.append(result)
    errors = {name: errors[name] for name in failed if name in errors}
    if not results:
        raise TrainingFailedError(
            f"{spec.name}: no candidate could be fitted", failed=failed, errors=errors
        )
    metric = spec.evaluation.primary_metric
    best = results[0]
    for result in results[1:]:
        best = result if is_better(metric, result.cv_mean, best.cv_mean) else best
    selection = Selection(best.candidate, metric, tuple(results), tuple(failed), errors)
    artifacts.put(run_key(spec.name, request.run_id, SELECTION), to_bytes(selection))
    return SelectChallengerResult(best.candidate, metric, best.cv_mean, len(failed))
