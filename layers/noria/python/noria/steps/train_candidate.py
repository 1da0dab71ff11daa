"""Search one candidate's parameters, refit the best, export its serving bundle."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from noria.bundle.exported import Features
from noria.bundle.exporters import export
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, pack, unpack
from noria.data.schema_inference import spec_of_dataset
from noria.data.versions import encode_rows, read_dataset_manifest, read_rows
from noria.evaluation.decisions import watched_metrics
from noria.evaluation.metrics import METRICS, Answers, joined, measure
from noria.evaluation.runs import finished, packed_answers
from noria.features.matrix import Matrix, stack_rows, take_columns
from noria.features.matrix import from_bytes as matrix_from_bytes
from noria.features.view import FeatureView
from noria.inference.golden import golden_inputs
from noria.monitoring.error_model import fit_error_model
from noria.monitoring.reference import OutOfFoldFacts, as_answers, build_reference
from noria.ports import ArtifactStore, Clock
from noria.records.bundle import Bundle, Calibration, Postprocessing
from noria.records.codec import from_bytes, to_bytes
from noria.records.training import (
    CandidateCalibration,
    CandidateDecision,
    CandidateResult,
    SearchProgress,
    Selection,
    TrainingSubject,
    Trial,
)
from noria.registry.versions import read_files, read_manifest
from noria.spec.loader import spec_hash
from noria.spec.model import CandidateSection, ProjectSpec
from noria.storage.keys import (
    ALL_ROWS,
    FEATURE_VIEW,
    GOLDEN,
    NO_RESULT,
    OUT_OF_FOLD,
    REFERENCE,
    RESULT,
    SEARCH,
    SELECTION,
    SELECTIONS,
    TARGETS,
    TRAIN,
    USUAL_ANSWERS,
    WATCHED,
    candidate_key,
    fold_name,
    run_key,
)
from noria.training.contracts import (
    band_edges,
    column_contracts,
    label_contract,
    max_gaps,
    typical_row,
)
from noria.training.cross_validation import CrossValidation, Fold, OutOfFold
from noria.training.estimators import FittedModel, fit, raw_scores
from noria.training.importance import own_importances
from noria.training.search import ParameterSearch
from noria.training.usual_answers import usual_answers


@dataclass(frozen=True)
class TrainCandidateRequest:
    """Which candidate of which run."""

    project: str
    run_id: str
    dataset_version: str
    candidate: str
    refit_of: str | None = None  # model version whose parameters are used again, unsearched


@dataclass(frozen=True)
class TrainCandidateResult:
    """How well it did in cross-validation."""

    candidate: str
    metric: str
    cv_mean: float
    n_trials: int


def train_candidate(
    request: TrainCandidateRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    clock: Clock,
    code: Mapping[str, str],
) -> TrainCandidateResult:
    """Train one candidate on features that are already computed.

    Reads the run's features and the training rows; writes
    `runs/<project>/<run_id>/candidates/<candidate>/`: after each trial `search.json`, then the
    serving bundle, its golden rows with what the training pipeline answers, the out-of-fold
    answers and, last, `result.json`. A run that is started again keeps the candidates it has
    finished, and goes on where a search was cut off. A refit takes the parameters that a
    registered version's run found for the candidate, and searches only if it was not in that run.

    Parameters
    ----------
    code : mapping
        What trains here: {"noria": code version, "scikit-learn": version, …}; kept as lineage.

    Raises
    ------
    TrainingFailedError
        No parameter set could be fitted.
    ModelVersionNotFoundError
        There is no version to refit.
    """
    subject = TrainingSubject(request.dataset_version, spec_hash(spec), request.refit_of)
    spec = spec_of_dataset(artifacts, spec, request.dataset_version)
    run = _Run(request, spec, artifacts)
    metric = spec.evaluation.primary_metric
    done = run.own(CandidateResult, RESULT)
    if done is not None and done.subject == subject:
        return TrainCandidateResult(request.candidate, metric, done.cv_mean, len(done.trials))
    if done is not None:  # of other rows or another spec: not to be chosen if this one fails
        run.put(RESULT, NO_RESULT)
    candidate = run.candidate
    validation = CrossValidation(spec, candidate, run.folds(), run.classes)
    started = clock.now()
    search = ParameterSearch(
        candidate,
        spec.search_of(candidate),
        greater_is_better=METRICS[metric].greater_is_better,
        seconds=lambda: (clock.now() - started).total_seconds(),
    )

    def keep(trials: Sequence[Trial]) -> None:
        run.put(SEARCH, to_bytes(SearchProgress(subject, tuple(trials))))

    end = search.run(validation.evaluate, earlier=run.earlier_trials(subject), keep=keep)
    held_out = validation.out_of_fold(end.best.params)
    model = run.fitted(held_out)
    run.write(model, held_out)
    result = CandidateResult(
        candidate=candidate.name,
        algorithm=candidate.algorithm,
        metric=metric,
        cv_mean=float(np.mean(held_out.scores)),
        cv_scores=tuple(held_out.scores),
        params=dict(held_out.params),
        calibration=CandidateCalibration(
            held_out.calibration.slope, tuple(held_out.calibration.shift)
        ),
        decision=CandidateDecision(*held_out.decision),
        stopped_by=end.stopped_by,
        trials=end.trials,
        subject=subject,
        code=dict(code),
        prior_shift=held_out.prior_shift,
        cv_metrics=validation.metrics(held_out),
        training_metrics=validation.training_metrics(model, held_out, run.all()),
        importances=own_importances(model.estimator, run.feature_names()),
    )
    run.put(RESULT, to_bytes(result))
    return TrainCandidateResult(candidate.name, metric, result.cv_mean, len(end.trials))


class _Run:
    """The artifacts of one candidate in one run."""

    def __init__(
        self, request: TrainCandidateRequest, spec: ProjectSpec, artifacts: ArtifactStore
    ) -> None:
        self._request, self._spec, self._artifacts = request, spec, artifacts
        self.candidate = self._as_found_before(
            next(c for c in spec.candidates if c.name == request.candidate)
        )
        with np.load(BytesIO(self.get(TARGETS)), allow_pickle=False) as parts:
            self.targets = {name: parts[name] for name in parts}
        self.classes: list[str] = []
        if "classes" in self.targets:
            self.classes = json.loads(self.targets["classes"].tobytes())
        files = {name: self.get(f"{FEATURE_VIEW}/{name}") for name in (BUNDLE_FILE, ARRAYS_FILE)}
        self._view = FeatureView(unpack(files)[0]["feature_view"])
        self._rows = read_rows(artifacts, spec.name, request.dataset_version, TRAIN)
        manifest = read_dataset_manifest(artifacts, spec.name, request.dataset_version)
        self._has_test_rows = manifest.n_test > 0
        self._watched = json.loads(self.get(WATCHED))
        self._kept: list[list[int]] | None = None  # a fold, and last for all rows
        if self.candidate.selection:
            self._kept = json.loads(self.get(SELECTIONS))[self.candidate.selection]

    def _as_found_before(self, candidate: CandidateSection) -> CandidateSection:
        """Return the candidate with the parameters it had in the version to refit, if it had."""
        if self._request.refit_of is None:
            return candidate
        project, version = self._spec.name, str(self._request.refit_of)
        while True:  # a recalibrated version's run knows the one candidate only
            files = read_files(self._artifacts, project, version, (SELECTION,))
            for found in from_bytes(Selection, files[SELECTION]).candidates:
                if found.candidate == candidate.name:
                    return candidate.model_copy(update={"params": dict(found.params), "space": {}})
            lineage = read_manifest(self._artifacts, project, version).lineage
            if lineage is None or lineage.recalibrated_from is None:
                return candidate
            version = lineage.recalibrated_from

    def get(self, name: str) -> bytes:
        return self._artifacts.get(run_key(self._spec.name, self._request.run_id, name))

    def put(self, name: str, body: bytes) -> None:
        self._artifacts.put(self._own_key(name), body)

    def own[T](self, kind: type[T], name: str) -> T | None:
        """Return a record this candidate wrote before; None where there is none."""
        return finished(kind, self._artifacts, self._own_key(name))

    def earlier_trials(self, subject: TrainingSubject) -> list[Trial]:
        saved = self.own(SearchProgress, SEARCH)
        return list(saved.trials) if saved is not None and saved.subject == subject else []

    def _own_key(self, name: str) -> str:
        request = self._request
        return candidate_key(self._spec.name, request.run_id, request.candidate, name)

    def folds(self) -> list[Fold]:
        y = self.targets["y"]
        return [
            Fold(
                self._matrix(fold_name(number, "fit"), number),
                y[self.targets[f"fit_{number}"]],
                self._matrix(fold_name(number, "score"), number),
                y[self.targets[f"score_{number}"]],
            )
            for number in range(self._spec.evaluation.folds)
        ]

    def all(self) -> tuple[Matrix, Any]:
        """Return the features and targets of all rows."""
        return self._matrix(ALL_ROWS, -1), self.targets["y"]

    def feature_names(self) -> list[str]:
        """Return the names of the features that the candidate is fitted on."""
        names = self._view.names()
        return names if self._kept is None else [names[place] for place in self._kept[-1]]

    def _matrix(self, name: str, fold: int) -> Matrix:
        return self._selected(matrix_from_bytes(self.get(name)), fold)

    def _selected(self, X: Matrix, fold: int) -> Matrix:
        if self._kept is None:
            return X
        return take_columns(X, self._kept[fold], sparse=self._view.is_sparse)

    def fitted(self, held_out: OutOfFold) -> FittedModel:
        """Return the candidate fitted on all rows."""
        return fit(
            self.candidate,
            self._spec.project.task,
            held_out.params,
            self.all(),
            seed=self._spec.search.seed,
            is_log=self._spec.fits_logarithm,
        )

    def write(self, model: FittedModel, held_out: OutOfFold) -> None:
        """Write what serves and monitors the candidate, and what proves it."""
        for name, body in self.bundle(model, held_out).items():
            self.put(name, body)
        self.put(GOLDEN, self.golden(model, held_out))
        self.put(OUT_OF_FOLD, self.out_of_fold(held_out))
        self.put(REFERENCE, self.reference(held_out))

    def bundle(self, fitted: FittedModel, held_out: OutOfFold) -> dict[str, bytes]:
        kept = self._kept[-1] if self._kept is not None else range(self._view.width)
        view, places = self._view.narrowed(kept)
        exported = export(fitted.estimator, Features(view.width, places, self._view.is_sparse))
        calibration = held_out.calibration
        model = exported.model._replace(
            calibration=Calibration(calibration.slope, tuple(calibration.shift))
        )
        if fitted.is_log:
            model = model._replace(link="exp")
        description = Bundle(
            project=self._spec.name,
            task=self._spec.project.task,
            classes=tuple(self.classes),
            columns=column_contracts(self._spec, self._rows),
            missing=self._spec.dataset.missing,
            algorithm=self.candidate.algorithm,
            feature_view=view.data,
            model=model,
            precision=exported.precision,
            decision=held_out.decision,
            postprocess=self._postprocess(held_out),
            reference=typical_row(self._spec, self._rows),
            watched=self._watched,
            target=label_contract(self._spec, self.targets["y"]),
            private=self._spec.monitoring.pii,
            max_gaps=max_gaps(self._spec, self._rows),
        )
        return pack(description.to_dict(), exported.arrays)

    def _postprocess(self, held_out: OutOfFold) -> Postprocessing | None:
        settings = self._spec.postprocess
        if settings is None:
            return None
        rows = [self._rows[place] for place in self._scored_places(held_out)]
        return Postprocessing(
            kind=settings.kind,
            positive=len(self.classes) - 1,
            contact=settings.contact,
            amount=settings.amount,
            bands=settings.bands,
            edges=band_edges(settings, rows, joined(held_out.answers).outputs[:, -1]),
        )

    def golden(self, model: FittedModel, held_out: OutOfFold) -> bytes:
        types = {name: column.type for name, column in self._spec.dataset.columns.items()}
        inputs = golden_inputs(self._rows, types)
        X = stack_rows(
            [self._view.transform(row) for row in inputs],
            self._view.width,
            sparse=self._view.is_sparse,
        )
        # Numbers that overflow a model are refused when they are sent: no golden rows.
        with np.errstate(over="ignore", invalid="ignore"):
            expected = raw_scores(model, self._selected(X, -1), len(self.classes))
            if self.classes:
                expected = held_out.calibration.probabilities(expected)
        return encode_rows(
            {"inputs": row, "expected": answer}
            for row, answer in zip(inputs, expected.tolist(), strict=True)
            if np.isfinite(answer).all()
        )

    def reference(self, held_out: OutOfFold) -> bytes:
        """Return what monitoring compares with: the rows' inputs, the out-of-fold answers."""
        places, answers = self._scored_places(held_out), joined(held_out.answers)
        truth = self.targets["y"][places]
        names = dict.fromkeys((*self._spec.evaluation.metrics, *watched_metrics(self._spec)))
        scores = {name: measure(name, truth, answers) for name in names}
        facts = OutOfFoldFacts(
            classes=tuple(self.classes),
            answers=[*as_answers(self.classes, answers)],
            scores=scores,
            errors=None if self.classes else fit_error_model(truth, answers.outputs[:, 0]),
        )
        reference = build_reference(self._spec, self._rows, self._watched, facts)
        if not self._has_test_rows:
            usual = self._usual_answers(held_out)
            reference = reference.answering([*as_answers(self.classes, usual)], scores)
        return reference.to_bytes()

    def _usual_answers(self, held_out: OutOfFold) -> Answers:
        """Return what a refit usually answers to rows it has not seen, and keep it."""
        answers = usual_answers(
            self.candidate,
            self._spec.project.task,
            held_out,
            self.all(),
            n_classes=len(self.classes),
            seed=self._spec.search.seed,
            is_log=self._spec.fits_logarithm,
        )
        self.put(USUAL_ANSWERS, packed_answers(answers))
        return answers

    def _scored_places(self, held_out: OutOfFold) -> Any:
        """Return the numbers of the training rows that the out-of-fold answers are about."""
        return np.concatenate([self.targets[f"score_{n}"] for n in range(len(held_out.answers))])

    def out_of_fold(self, held_out: OutOfFold) -> bytes:
        """Return the training rows' numbers, targets and out-of-fold answers as an .npz file."""
        places, answers = self._scored_places(held_out), joined(held_out.answers)
        return packed_answers(answers, rows=places, truth=self.targets["y"][places])
