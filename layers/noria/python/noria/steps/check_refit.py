"""Decide whether the model fitted again on all rows serves, or the one that was evaluated."""

from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Literal

import numpy as np

from noria.bundle.format import BUNDLE_FILE, with_description
from noria.data.validation import TARGET
from noria.data.versions import read_rows
from noria.evaluation.decisions import check_decisions, decide
from noria.evaluation.runs import finished, read_evaluation
from noria.inference.loading import load_candidate
from noria.inference.predictor import Predictor
from noria.monitoring.reference import Reference, as_answers
from noria.ports import ArtifactStore
from noria.promotion.evidence import judged_again, learned_decision
from noria.records.bundle import Decision
from noria.records.prediction import Row
from noria.records.training import CandidateResult
from noria.spec.model import ProjectSpec
from noria.storage.keys import (
    OUT_OF_FOLD,
    REFERENCE,
    RESULT,
    TEST,
    USUAL_ANSWERS,
    candidate_key,
    run_key,
)

# A bound of sanity, not of quality: a model that has seen the test rows is surer of them, and one
# that has gone wrong answers something else. Of classes the mean total variation of probabilities;
# of values the root mean square of the difference, in deviations of the evaluated answers.
MAX_DISTANCE = {"classification": 0.25, "regression": 0.5}


@dataclass(frozen=True)
class CheckRefitRequest:
    """Which run, and where its refit lies."""

    project: str
    run_id: str
    refit_run_id: str
    dataset_version: str  # that was evaluated
    candidate: str
    # What the refit was to be fitted on; of executions of earlier code empty.
    refit_dataset_version: str = ""


@dataclass(frozen=True)
class CheckRefitResult:
    """What serves, and why."""

    serves: Literal["refitted", "evaluated"]
    distance: float | None  # of the answers to the test rows; None: there is no refit
    reason: str


def check_refit(
    request: CheckRefitRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> CheckRefitResult:
    """Compare the answers of the refitted model to the test rows with the evaluated one's.

    Reads both candidates, the evaluation and the test rows; writes the refit's reference profile
    of monitoring, with the evaluated model's scores on its test rows: the refitted one has none
    of its own. A decision that was degenerate, or is now,
    is replaced by the most probable class in the refit's bundle.
    """
    project, candidate = spec.name, request.candidate
    result_key = candidate_key(project, request.refit_run_id, candidate, RESULT)
    fitted = finished(CandidateResult, artifacts, result_key)
    # One that failed may have a result of an earlier attempt, on other rows.
    if fitted is None or fitted.subject.dataset_version != request.refit_dataset_version:
        return CheckRefitResult("evaluated", None, "the candidate could not be fitted on all rows")
    refit = _Refit(request, spec, artifacts)
    distance, bound = refit.distance(), MAX_DISTANCE[spec.project.task]
    if not distance <= bound:
        reason = f"its answers to the test rows differ by {distance:.3f}, more than {bound:g}"
        return CheckRefitResult("evaluated", distance, reason)
    refit.settle_decision()
    key = run_key(project, request.refit_run_id, REFERENCE)
    artifacts.put(key, refit.reference())
    return CheckRefitResult("refitted", distance, f"within {bound:g} of the evaluated answers")


class _Refit:
    """Both models and the test rows."""

    def __init__(
        self, request: CheckRefitRequest, spec: ProjectSpec, artifacts: ArtifactStore
    ) -> None:
        self._request, self._spec, self._artifacts = request, spec, artifacts
        self._rows = read_rows(artifacts, spec.name, request.dataset_version, TEST)
        self._model = self._loaded(request.refit_run_id)
        self._evaluation = read_evaluation(artifacts, spec.name, request.run_id)
        evaluated = self._loaded(request.run_id)
        names = dict.fromkeys((*self._model.classes, *evaluated.classes))
        self._classes = list(names)
        self._outputs = self._scored(self._model, self._rows)
        self._evaluated = self._scored(evaluated, self._rows)
        self._plain: Decision | None = None  # what decides instead of what was learned

    def _loaded(self, run_id: str) -> Predictor:
        return load_candidate(self._artifacts, self._spec.name, run_id, self._request.candidate)

    def _scored(self, predictor: Predictor, rows: list[Row]) -> Any:
        """Return outputs by the union of both models' classes, the refitted one's first."""
        raw = np.array([predictor.score(row) for row in rows], dtype=np.float64)
        if not predictor.classes:
            return raw
        aligned = np.zeros((len(rows), len(self._classes)))
        aligned[:, [self._classes.index(name) for name in predictor.classes]] = raw
        return aligned

    def distance(self) -> float:
        """Return how far the answers are from each other; infinite where one is no number."""
        difference = self._outputs - self._evaluated
        if not np.isfinite(difference).all():
            return float("inf")
        if self._classes:
            return float(np.mean(np.abs(difference).sum(axis=1)) / 2.0)
        spread = float(np.std(self._evaluated)) or 1.0
        return float(np.sqrt(np.mean(difference**2)) / spread)

    def settle_decision(self) -> None:
        """Let the most probable class decide where the learned decision is degenerate."""
        if not self._classes or self._spec.decision.rule == "most_probable":
            return
        if self._evaluation.replaced_decision is None and not self._is_degenerate():
            return
        self._plain = learned_decision(self._kept(RESULT)).plain()
        body = with_description(self._kept(BUNDLE_FILE), self._plain.to_dict())
        request = self._request
        key = candidate_key(self._spec.name, request.refit_run_id, request.candidate, BUNDLE_FILE)
        self._artifacts.put(key, body)

    def _kept(self, name: str) -> bytes:
        """Return a file of the refitted candidate."""
        request = self._request
        return self._artifacts.get(
            candidate_key(self._spec.name, request.refit_run_id, request.candidate, name)
        )

    def _is_degenerate(self) -> bool:
        known = [i for i, row in enumerate(self._rows) if row[TARGET] in self._model.classes]
        truth = np.array([self._model.classes.index(self._rows[i][TARGET]) for i in known])
        outputs = self._outputs[known][:, : len(self._model.classes)]
        commonest = int(np.bincount(truth).argmax())
        return check_decisions(
            self._spec.decision.rule,
            self._spec.evaluation.primary_metric,
            truth,
            decide(outputs, learned_decision(self._kept(RESULT))),
            commonest=commonest,
            classes=self._model.classes,
            max_share_ratio=self._spec.decision.max_share_ratio,
        ).is_degenerate

    def reference(self) -> bytes:
        """Return the refit's profile, decided as it will be, with the evaluated version's scores.

        Call it after `settle_decision`.
        """
        reference, classes = Reference.from_bytes(self._kept(REFERENCE)), self._model.classes
        tested, n_tested = dict(self._evaluation.metrics), self._evaluation.n_test
        if self._plain is None:
            return replace(reference, tested=tested, n_tested=n_tested).to_bytes()
        reference = judged_again(reference, self._kept(OUT_OF_FOLD), classes, self._plain)
        with np.load(BytesIO(self._kept(USUAL_ANSWERS)), allow_pickle=False) as kept:
            usual = decide(kept["outputs"], self._plain)
        reference = reference.answering([*as_answers(classes, usual)], tested)
        return replace(reference, n_tested=n_tested).to_bytes()
