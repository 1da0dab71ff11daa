"""Score parameter sets on folds whose features are already computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from noria.errors import TrainingFailedError
from noria.evaluation.decisions import decide
from noria.evaluation.metrics import METRICS, Answers, Floats, measure
from noria.features.matrix import Matrix
from noria.records.bundle import Decision
from noria.records.training import Params, PriorShiftCheck
from noria.spec.model import CandidateSection, ProjectSpec
from noria.training.calibration import Calibration, fit_calibration, no_calibration
from noria.training.decisions import learned_decision, most_probable
from noria.training.estimators import ABSENT_CLASS, FittedModel, fit, raw_scores
from noria.training.prior_shift import corrected_decision
from noria.training.search import Report

_WATCHED_SHARE = 0.15  # of a fold's fit rows, where boosting may stop early


@dataclass(frozen=True)
class Fold:
    """Features and targets of one fold."""

    X_fit: Matrix  # shape (n_fit, width)
    y_fit: Any  # class numbers or values, shape (n_fit,)
    X_score: Matrix
    y_score: Any


@dataclass(frozen=True)
class OutOfFold:
    """How a parameter set scores the rows it was not fitted on, calibrated and decided."""

    calibration: Calibration
    decision: Decision
    answers: tuple[Answers, ...]  # one per fold
    scores: tuple[float, ...]  # of the primary metric, one per fold
    params: Params  # to refit with: where boosting stopped early, its mean rounds
    prior_shift: PriorShiftCheck | None = None  # where the spec asks for a correction


class CrossValidation:
    """The folds of one candidate.

    Parameters
    ----------
    classes : sequence of str
        Names by number; empty for regression.
    """

    def __init__(
        self,
        spec: ProjectSpec,
        candidate: CandidateSection,
        folds: Sequence[Fold],
        classes: Sequence[str],
    ) -> None:
        self._spec, self._candidate, self._folds = spec, candidate, folds
        self._classes, self._n_classes = classes, len(classes)
        self._metric = spec.evaluation.primary_metric
        self._raw: dict[str, list[Floats]] = {}
        self._rounds: dict[str, list[int]] = {}

    def evaluate(self, params: Params, report: Report) -> list[float]:
        """Return the scores of one parameter set, fold by fold until `report` says stop.

        Trials are compared before calibration, which is the same work for each and changes no
        ranking of rows.
        """
        scores: list[float] = []
        raw: list[Floats] = []
        for number, fold in enumerate(self._folds):
            raw.append(self._scored(params, fold))
            scores.append(measure(self._metric, fold.y_score, self._uncalibrated(raw[-1])))
            if report(number, sum(scores) / len(scores)):
                return scores
        self._raw[_key(params)] = raw
        return scores

    def out_of_fold(self, params: Params) -> OutOfFold:
        """Return the calibrated, decided out-of-fold answers of one parameter set."""
        raw = self._raw.get(_key(params)) or [self._scored(params, fold) for fold in self._folds]
        rounds = self._rounds.get(_key(params))
        truth = np.concatenate([fold.y_score for fold in self._folds])
        calibration, decision, answers, check = self._answers(np.concatenate(raw), truth)
        edges = np.cumsum([0, *(len(fold.y_score) for fold in self._folds)])
        parts = tuple(answers.at(slice(start, end)) for start, end in pairwise(edges))
        scores = tuple(
            measure(self._metric, fold.y_score, part)
            for fold, part in zip(self._folds, parts, strict=True)
        )
        final = {name: v for name, v in params.items() if name != "early_stopping_rounds"}
        if rounds:
            final["n_estimators"] = round(sum(rounds) / len(rounds))
        return OutOfFold(calibration, decision, parts, scores, final, check)

    def metrics(self, held_out: OutOfFold) -> dict[str, float]:
        """Return every metric of the spec as its mean over the folds."""
        return {
            name: float(
                np.mean(
                    [
                        measure(name, fold.y_score, part)
                        for fold, part in zip(self._folds, held_out.answers, strict=True)
                    ]
                )
            )
            for name in self._spec.evaluation.metrics
        }

    def training_metrics(
        self, model: FittedModel, held_out: OutOfFold, rows: tuple[Matrix, Any]
    ) -> dict[str, float]:
        """Return every metric on the (features, targets) that the final model was fitted on.

        Far better than over the folds: the model knows its rows by heart.
        """
        raw = raw_scores(model, rows[0], self._n_classes)
        answers = Answers(raw, None)
        if self._n_classes:
            shares = held_out.calibration.probabilities(raw)
            answers = decide(shares, held_out.decision._replace(share=None))
        return {name: measure(name, rows[1], answers) for name in self._spec.evaluation.metrics}

    def _answers(
        self, raw: Floats, truth: Any
    ) -> tuple[Calibration, Decision, Answers, PriorShiftCheck | None]:
        if not self._n_classes:
            return no_calibration(0), most_probable(0), Answers(raw, None), None
        # Of a class that a fold's model did not know, its scores say nothing.
        known = raw[np.arange(len(truth)), truth] != ABSENT_CLASS
        calibration = (
            fit_calibration(raw[known], truth[known])
            if self._spec.calibration.method == "sigmoid"
            else no_calibration(self._n_classes)
        )
        shares = calibration.probabilities(raw)
        newest = slice(None)
        if self._spec.split.kind == "time":  # folds come in time order
            newest = slice(-int(np.count_nonzero(known[-len(self._folds[-1].y_score) :])), None)
        decision = learned_decision(
            self._spec.decision,
            self._metric,
            truth[known],
            shares[known],
            classes=self._classes,
            newest=newest,
        )
        decision, check = corrected_decision(self._spec, decision, truth[known], shares[known])
        # Row by row, as requests are decided: a batch alone is decided by rank.
        return calibration, decision, decide(shares, decision._replace(share=None)), check

    def _scored(self, params: Params, fold: Fold) -> Floats:
        task, seed = self._spec.project.task, self._spec.search.seed
        rows, watched = (fold.X_fit, fold.y_fit), None
        if "early_stopping_rounds" in params:
            rows, watched = self._watched(fold)
        is_log = self._spec.fits_logarithm
        model = fit(self._candidate, task, params, rows, seed=seed, watched=watched, is_log=is_log)
        if model.n_rounds is not None:
            self._rounds.setdefault(_key(params), []).append(model.n_rounds)
        scores = raw_scores(model, fold.X_score, self._n_classes)
        if not np.isfinite(scores).all():
            raise TrainingFailedError(
                f"{self._candidate.algorithm} with {dict(params)} predicts no finite number"
            )
        return scores

    def _watched(self, fold: Fold) -> tuple[tuple[Matrix, Any], tuple[Matrix, Any]]:
        """Return the rows to boost on and those to watch, all of them rows to fit on.

        The rows that score a fold must not decide when its model stops. The latest rows are
        watched where the split is by time, else a seeded sample.
        """
        n_rows = len(fold.y_fit)
        order = np.arange(n_rows)
        if self._spec.split.kind != "time":
            order = np.random.default_rng(self._spec.search.seed).permutation(n_rows)
        cut = n_rows - max(1, round(_WATCHED_SHARE * n_rows))
        boosted, watched = np.sort(order[:cut]), np.sort(order[cut:])
        return (
            (fold.X_fit[boosted], fold.y_fit[boosted]),
            (fold.X_fit[watched], fold.y_fit[watched]),
        )

    def _uncalibrated(self, raw: Floats) -> Answers:
        if not self._n_classes:
            return Answers(raw, None)
        if METRICS[self._metric].needs_probabilities:
            raw = no_calibration(self._n_classes).probabilities(raw)
        return decide(raw, most_probable(self._n_classes))


def _key(params: Params) -> str:
    return repr(sorted(params.items()))
