"""Compare the challenger with the champion on the same held-out rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from noria.bundle.format import BUNDLE_FILE
from noria.data.schema_inference import spec_of_dataset
from noria.data.splits import input_hash
from noria.data.validation import TARGET
from noria.data.versions import read_rows
from noria.errors import ModelError, ModelVersionConflictError, NoriaError, RegistryError
from noria.evaluation.business_value import business_totals
from noria.evaluation.comparison import compare
from noria.evaluation.metrics import Answers, measure
from noria.evaluation.runs import read_evaluation
from noria.features.derive import Deriver
from noria.inference.loading import load_candidate, load_model_version
from noria.inference.predictor import Predictor
from noria.monitoring.reference import Reference, as_answers
from noria.ports import ArtifactStore, ModelAliases
from noria.records.codec import to_bytes
from noria.records.evaluation import BusinessTotals, Comparison, Evaluation, Slice
from noria.records.prediction import Row
from noria.registry.versions import read_manifest
from noria.spec.model import ProjectSpec
from noria.storage.hashing import sha256_hex
from noria.storage.keys import (
    EVALUATION,
    REFERENCE,
    TEST,
    TEST_ANSWERS,
    TRAIN,
    candidate_key,
    run_key,
)

_MIN_SLICE_ROWS = 10  # fewer say nothing
_SEED = 20_260  # of the bootstrap; any constant keeps evaluations repeatable


@dataclass(frozen=True)
class EvaluateChallengerRequest:
    """Which candidate is the challenger."""

    project: str
    run_id: str
    dataset_version: str
    candidate: str


@dataclass(frozen=True)
class EvaluateChallengerResult:
    """The evidence, in short."""

    evaluation_key: str
    champion: str | None
    alias_revision: int  # what the comparison was made against
    metric: str
    challenger_score: float
    champion_score: float | None
    interval_low: float | None
    interval_high: float | None


def evaluate_challenger(
    request: EvaluateChallengerRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
) -> EvaluateChallengerResult:
    """Score challenger, champion and the trivial baseline on the test rows.

    Reads the test rows, the only step to do so, both serving bundles and the training rows'
    hashes; writes `evaluation.json` and the reference profile of monitoring, once: a run that is
    started again keeps the evaluation it has, so its own promotion can never become what it is compared with.
    Test rows whose inputs the champion was trained on are left out of its comparison. A champion
    that cannot be loaded leaves no comparison, and the gate then refuses.

    Raises
    ------
    ModelVersionConflictError
        The run has an evaluation of another challenger or of other rows.
    """
    key = run_key(spec.name, request.run_id, EVALUATION)
    if not artifacts.exists(key):
        record = aliases.read(spec.name)
        columns = spec_of_dataset(artifacts, spec, request.dataset_version)
        rows = _TestRows(request, columns, artifacts)
        evaluation = rows.evaluation(record.champion, record.revision)
        answers_key = run_key(spec.name, request.run_id, TEST_ANSWERS)
        artifacts.put(answers_key, rows.answers())
        reference_key = run_key(spec.name, request.run_id, REFERENCE)
        artifacts.put(reference_key, rows.reference())
        artifacts.put(key, to_bytes(evaluation), if_absent=True)
    kept = read_evaluation(artifacts, spec.name, request.run_id)
    _require_same_subject(kept, request, artifacts)
    comparison, metric = kept.against_champion, spec.evaluation.primary_metric
    return EvaluateChallengerResult(
        evaluation_key=key,
        champion=kept.champion,
        alias_revision=kept.alias_revision,
        metric=metric,
        challenger_score=kept.metrics[metric],
        champion_score=comparison.other if comparison else None,
        interval_low=comparison.low if comparison else None,
        interval_high=comparison.high if comparison else None,
    )


@dataclass(frozen=True)
class _AgainstChampion:
    """How the challenger compares with the champion, or why it could not be compared."""

    n_unseen: int = 0
    comparison: Comparison | None = None
    fault: str | None = None


class _TestRows:
    """The test rows, scored."""

    def __init__(
        self, request: EvaluateChallengerRequest, spec: ProjectSpec, artifacts: ArtifactStore
    ) -> None:
        self._request, self._spec, self._artifacts = request, spec, artifacts
        version = request.dataset_version
        self._derived = {name: d.model_dump(mode="json") for name, d in spec.derived.items()}
        self._test = read_rows(artifacts, spec.name, version, TEST)
        self._train = read_rows(artifacts, spec.name, version, TRAIN)
        self._challenger = load_candidate(artifacts, spec.name, request.run_id, request.candidate)
        self._classes = list(self._challenger.classes)
        self._truth = self._numbers([row[TARGET] for row in self._test])
        self._answers = self._scored(self._challenger, self._test)

    def evaluation(self, champion: str | None, alias_revision: int) -> Evaluation:
        """Return the challenger's metrics, and how it compares with baseline and champion."""
        names = self._spec.evaluation.metrics
        found = self._against_champion(champion)
        return Evaluation(
            project=self._spec.name,
            dataset_version=self._request.dataset_version,
            challenger_sha256=_bundle_sha256(self._request, self._artifacts),
            n_test=len(self._test),
            metrics={name: measure(name, self._truth, self._answers) for name in names},
            against_baseline=self._compare(self._answers, self._baseline(), self._truth),
            slices=tuple(self._slices()),
            business_value=self._business_value(),
            alias_revision=alias_revision,
            champion=champion,
            n_unseen=found.n_unseen,
            against_champion=found.comparison,
            champion_fault=found.fault,
        )

    def answers(self) -> bytes:
        """Return the challenger's answers on the test rows, for the report, as an .npz file."""
        buffer = BytesIO()
        decided = {} if self._answers.decided is None else {"decided": self._answers.decided}
        parts = {"truth": self._truth, "outputs": self._answers.outputs, **decided}
        np.savez_compressed(buffer, **parts)
        return buffer.getvalue()

    def reference(self) -> bytes:
        """Return the reference profile with the challenger's own answers to unseen rows."""
        key = candidate_key(
            self._spec.name, self._request.run_id, self._request.candidate, REFERENCE
        )
        classes = self._challenger.classes
        outputs = self._answers.outputs[:, : max(len(classes), 1)]
        answers = Answers(outputs, self._answers.decided)
        rows = [*as_answers(classes, answers)]
        return Reference.from_bytes(self._artifacts.get(key)).answering(rows).to_bytes()

    def _business_value(self) -> BusinessTotals | None:
        """Return what the test rows are worth by the project's postprocessor."""
        outputs = self._answers.outputs[:, : len(self._challenger.classes)].tolist()
        added = [
            self._challenger.postprocess(row, scores)
            for row, scores in zip(self._test, outputs, strict=True)
        ]
        return business_totals(added, (self._truth == len(self._challenger.classes) - 1).tolist())

    def _slices(self) -> Iterator[Slice]:
        """Yield the primary metric on each level of the spec's slices, with its rows."""
        settings = self._spec.evaluation
        derive = Deriver(self._derived)
        extended = [derive.extended(row) for row in self._test] if settings.slices else []
        for column in settings.slices:
            levels = [row[column] for row in extended]
            for level in sorted({level for level in levels if level is not None}):
                rows = np.flatnonzero(np.array([value == level for value in levels]))
                score = None
                if len(rows) >= _MIN_SLICE_ROWS:
                    score = measure(
                        settings.primary_metric, self._truth[rows], self._answers.at(rows)
                    )
                yield Slice(column, level, len(rows), score)

    def _against_champion(self, champion: str | None) -> _AgainstChampion:
        """Return the paired comparison on the rows that the champion was not trained on."""
        if champion is None:
            return _AgainstChampion()
        try:
            lineage = read_manifest(self._artifacts, self._spec.name, champion).lineage
            if lineage is None:
                return _AgainstChampion(fault="its manifest has no lineage")
            predictor = load_model_version(self._artifacts, self._spec.name, champion)
            trained_rows = read_rows(
                self._artifacts, self._spec.name, lineage.dataset_version, TRAIN
            )
            all_theirs = self._scored(predictor, self._test)
        except (ModelError, RegistryError, LookupError, TypeError, ValueError) as error:
            reason = error.message if isinstance(error, NoriaError) else repr(error)
            return _AgainstChampion(fault=reason)
        columns = list(self._spec.dataset.columns)
        trained_on = {
            input_hash({name: row.get(name) for name in columns}, columns) for row in trained_rows
        }
        unseen = [
            i for i, row in enumerate(self._test) if input_hash(row, columns) not in trained_on
        ]
        if len(unseen) < self._spec.evaluation.min_test_rows:
            return _AgainstChampion(len(unseen))
        comparison = self._compare(
            self._answers.at(unseen), all_theirs.at(unseen), self._truth[unseen]
        )
        return _AgainstChampion(len(unseen), comparison)

    def _compare(self, ours: Answers, theirs: Answers, truth: Any) -> Comparison:
        settings = self._spec.evaluation
        return compare(
            settings.primary_metric,
            truth,
            (ours, theirs),
            n_replicates=settings.bootstrap_replicates,
            confidence=settings.confidence,
            seed=_SEED,
        )

    def _scored(self, predictor: Predictor, rows: Sequence[Row]) -> Answers:
        """Return a model's answers by the challenger's class order; unknown classes get 0."""
        outputs = [predictor.score(row) for row in rows]
        raw = np.array(outputs, dtype=np.float64)
        if self._spec.project.task == "regression":
            return Answers(raw, None)
        for name in predictor.classes:
            if name not in self._classes:
                self._classes.append(name)
        numbers = np.array([self._classes.index(name) for name in predictor.classes])
        aligned = np.zeros((len(rows), len(self._classes)))
        aligned[:, numbers] = raw
        return Answers(aligned, numbers[[predictor.decide(row) for row in outputs]])

    def _numbers(self, targets: Sequence[Any]) -> Any:
        if self._spec.project.task == "regression":
            return np.array(targets, dtype=np.float64)
        for name in sorted(set(targets) - set(self._classes)):
            self._classes.append(name)
        return np.array([self._classes.index(name) for name in targets])

    def _baseline(self) -> Answers:
        """Return what the trivial model answers: class shares, or the mean, of training rows."""
        targets, n_test = [row[TARGET] for row in self._train], len(self._test)
        if self._spec.project.task == "regression":
            return Answers(np.full((n_test, 1), float(np.mean(targets))), None)
        shares = np.array([targets.count(name) for name in self._classes]) / len(targets)
        return Answers(np.tile(shares, (n_test, 1)), np.full(n_test, shares.argmax()))


def _bundle_sha256(request: EvaluateChallengerRequest, artifacts: ArtifactStore) -> str:
    key = candidate_key(request.project, request.run_id, request.candidate, BUNDLE_FILE)
    return sha256_hex(artifacts.get(key))


def _require_same_subject(
    kept: Evaluation, request: EvaluateChallengerRequest, artifacts: ArtifactStore
) -> None:
    subject = (request.dataset_version, _bundle_sha256(request, artifacts))
    if (kept.dataset_version, kept.challenger_sha256) != subject:
        raise ModelVersionConflictError(
            f"{request.project}: run '{request.run_id}' was evaluated on other rows or another "
            "challenger; start it under a new run id",
            project=request.project,
            run_id=request.run_id,
        )
