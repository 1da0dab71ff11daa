"""Make a challenger of the champion itself: the same model, its probabilities learned anew."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, with_description
from noria.data.schema_inference import spec_of_dataset
from noria.data.splits import unseen_rows
from noria.data.validation import TARGET
from noria.data.versions import decode_rows, encode_rows, read_rows
from noria.errors import ModelCorruptError, TrainingFailedError
from noria.evaluation.decisions import decide, watched_metrics
from noria.evaluation.metrics import Floats, measure
from noria.evaluation.runs import packed_answers
from noria.inference.predictor import Predictor
from noria.monitoring.lineage import trained_rows
from noria.monitoring.reference import Reference, as_answers
from noria.ports import ArtifactStore, ModelAliases
from noria.records.codec import from_bytes, to_bytes
from noria.records.prediction import Row
from noria.records.training import (
    CandidateCalibration,
    CandidateDecision,
    CandidateResult,
    Selection,
    TrainingSubject,
)
from noria.registry.versions import read_files, read_manifest
from noria.spec.loader import spec_hash
from noria.spec.model import ProjectSpec
from noria.storage.keys import (
    GOLDEN,
    OUT_OF_FOLD,
    REFERENCE,
    RESULT,
    SELECTION,
    TRAIN,
    candidate_key,
    run_key,
)
from noria.training.calibration import fit_calibration
from noria.training.contracts import band_edges
from noria.training.decisions import learned_decision
from noria.training.prior_shift import corrected_decision

_MOST_ROWS = 20_000  # the newest; more change no digit


@dataclass(frozen=True)
class RecalibrateChampionRequest:
    """On which rows."""

    project: str
    run_id: str
    dataset_version: str


@dataclass(frozen=True)
class RecalibrateChampionResult:
    """The challenger, as `select_challenger` tells it."""

    candidate: str
    metric: str
    cv_mean: float
    n_failed: int = 0


def recalibrate_champion(
    request: RecalibrateChampionRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    code: Mapping[str, str],
) -> RecalibrateChampionResult:
    """Learn the champion's calibration and decision on rows that it was not trained on.

    Reads the champion and the dataset's training rows; writes what `train_candidate` and
    `select_challenger` write of a run: the bundle with the same arrays and other probabilities,
    golden rows, answers, reference profile, result and selection, the last of all. The test rows
    then judge it. A run that is started again keeps what it has made: its own promotion must not
    become what it recalibrates.

    Parameters
    ----------
    code : mapping
        What computes here, kept as lineage.

    Raises
    ------
    NoChampionError
        There is nothing to recalibrate.
    TrainingFailedError
        The project cannot (`ProjectSpec.can_recalibrate`), or too few rows are new to the champion.
    """
    champion = aliases.read(spec.name).require_champion()
    subject = TrainingSubject(request.dataset_version, spec_hash(spec), None)
    if (
        done := _done(artifacts, run_key(spec.name, request.run_id, SELECTION), subject)
    ) is not None:
        return RecalibrateChampionResult(done.candidate, done.metric, done.cv_mean)
    spec = spec_of_dataset(artifacts, spec, request.dataset_version)
    if not spec.can_recalibrate:
        raise TrainingFailedError(
            f"{spec.name}: recalibration needs calibrated classes and a split by time"
        )
    work = _Work(request, spec, artifacts, champion)
    result = work.result(subject, code)
    for name, body in work.files(result).items():
        artifacts.put(candidate_key(spec.name, request.run_id, work.candidate, name), body)
    selection = Selection(work.candidate, result.metric, (result,), ())
    artifacts.put(run_key(spec.name, request.run_id, SELECTION), to_bytes(selection))
    return RecalibrateChampionResult(work.candidate, result.metric, result.cv_mean)


def _done(
    artifacts: ArtifactStore, selection_key: str, subject: TrainingSubject
) -> CandidateResult | None:
    """Return the challenger that an earlier attempt of the run made of the same rows."""
    try:
        selection = from_bytes(Selection, artifacts.get(selection_key))
    except KeyError:
        return None
    (*_, found) = selection.candidates
    return found if found.recalibrated_from is not None and found.subject == subject else None


class _Work:
    """The champion, and the rows that are new to it."""

    def __init__(
        self,
        request: RecalibrateChampionRequest,
        spec: ProjectSpec,
        artifacts: ArtifactStore,
        champion: str,
    ) -> None:
        self._spec, self._champion = spec, champion
        lineage = read_manifest(artifacts, spec.name, champion).lineage
        if lineage is None:
            raise ModelCorruptError(f"{spec.name}: the manifest of {champion} has no lineage")
        self.candidate = lineage.candidate
        names = (BUNDLE_FILE, ARRAYS_FILE, GOLDEN, SELECTION, REFERENCE)
        self._files = read_files(artifacts, spec.name, champion, names)
        self._predictor = Predictor(self._files)
        rows = read_rows(artifacts, spec.name, request.dataset_version, TRAIN)
        if lost := sorted({*self._predictor.columns} - {*spec.dataset.columns}):
            raise TrainingFailedError(f"{spec.name}: the rows lack {lost}, which {champion} reads")
        seen = trained_rows(artifacts, spec.name, champion)
        self._rows, self._truth = self._new(rows, seen)
        raw = self._raw(self._rows)
        self._calibration = fit_calibration(raw, self._truth)
        shares = self._calibration.probabilities(raw)
        decision = learned_decision(
            spec.decision,
            spec.evaluation.primary_metric,
            self._truth,
            shares,
            classes=self._predictor.classes,
        )
        self._decision, self._shift = corrected_decision(spec, decision, self._truth, shares)
        self._answers = decide(shares, self._decision._replace(share=None))

    def _new(self, rows: list[Row], seen: list[Row]) -> tuple[list[Row], Any]:
        """Return (rows that the champion has not seen, their class numbers), or refuse."""
        numbers = {name: number for number, name in enumerate(self._predictor.classes)}
        new = unseen_rows(rows, seen, list(self._spec.dataset.columns), self._spec.split)
        kept = [row for row in new if row[TARGET] in numbers][-_MOST_ROWS:]
        truth = np.array([numbers[row[TARGET]] for row in kept], dtype=np.int64)
        least = self._spec.monitoring.min_labels
        if len(kept) < least or len(set(truth.tolist())) < 2:
            raise TrainingFailedError(
                f"{self._spec.name}: {len(kept)} labelled rows are new to the champion; "
                f"{least} of two classes are needed to learn its calibration"
            )
        return kept, truth

    def _raw(self, rows: Sequence[Row]) -> Floats:
        """Return what the champion's calibration is applied to, of shape (n_rows, n_classes)."""
        predictor = self._predictor
        scores = np.array(
            [predictor.scorer.scores(predictor.view.transform(row)) for row in rows]
        ).reshape(len(rows), -1)
        if predictor.model.link == "log_shares":
            scores = np.log(np.maximum(scores, predictor.model.floor))
        if scores.shape[1] == 1:  # a single score stands against a 0
            scores = np.column_stack([np.zeros(len(rows)), scores])
        return np.asarray(scores)

    def _scores(self) -> dict[str, float]:
        evaluation = self._spec.evaluation
        names = dict.fromkeys((*evaluation.metrics, *watched_metrics(self._spec)))
        return {name: measure(name, self._truth, self._answers) for name in names}

    def result(self, subject: TrainingSubject, code: Mapping[str, str]) -> CandidateResult:
        """Return the challenger as a trained candidate."""
        before = next(
            found
            for found in from_bytes(Selection, self._files[SELECTION]).candidates
            if found.candidate == self.candidate
        )
        metric = self._spec.evaluation.primary_metric
        score = measure(metric, self._truth, self._answers)
        return CandidateResult(
            candidate=self.candidate,
            algorithm=before.algorithm,
            metric=metric,
            cv_mean=score,
            cv_scores=(score,),
            params=before.params,
            calibration=CandidateCalibration(self._calibration.slope, self._calibration.shift),
            decision=CandidateDecision(*self._decision),
            stopped_by="trials",
            trials=(),
            subject=subject,
            code=dict(code),
            recalibrated_from=self._champion,
            prior_shift=self._shift,
        )

    def files(self, result: CandidateResult) -> dict[str, bytes]:
        """Return what a trained candidate leaves, the result last."""
        bundle = self._files[BUNDLE_FILE]
        model = json.loads(bundle)["model"] | {
            "calibration": {
                "slope": self._calibration.slope,
                "shift": list(self._calibration.shift),
            }
        }
        changed = {"model": model, **self._decision.to_dict(), **self._bands()}
        return {
            BUNDLE_FILE: with_description(bundle, changed),
            ARRAYS_FILE: self._files[ARRAYS_FILE],
            GOLDEN: self._golden(),
            OUT_OF_FOLD: packed_answers(self._answers, truth=self._truth),
            REFERENCE: self._reference(),
            RESULT: to_bytes(result),
        }

    def _golden(self) -> bytes:
        """Return the champion's golden rows with what they are answered now."""
        rows = decode_rows(self._files[GOLDEN])
        if not rows:
            return encode_rows(())
        expected = self._calibration.probabilities(self._raw([row["inputs"] for row in rows]))
        return encode_rows(
            {"inputs": row["inputs"], "expected": answer}
            for row, answer in zip(rows, expected.tolist(), strict=True)
        )

    def _reference(self) -> bytes:
        """Return the champion's reference with the answers to the new rows: inputs stay its own."""
        answers = [*as_answers(self._predictor.classes, self._answers)]
        reference = Reference.from_bytes(self._files[REFERENCE])
        return reference.judged_by(answers, self._scores()).to_bytes()

    def _bands(self) -> dict[str, object]:
        """Return the postprocessor with the bands' edges of the new probabilities."""
        settings = self._spec.postprocess
        if settings is None:
            return {}
        held = json.loads(self._files[BUNDLE_FILE])["postprocess"]
        edges = band_edges(settings, self._rows, self._answers.outputs[:, -1])
        return {"postprocess": held | {"edges": list(edges)}}
