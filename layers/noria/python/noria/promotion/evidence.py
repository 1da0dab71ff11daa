"""The evidence that a promotion is decided on: the test rows, scored by everyone in question."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from noria.bundle.format import BUNDLE_FILE, with_description
from noria.data.splits import input_hash, unseen_rows
from noria.data.validation import TARGET
from noria.data.versions import read_rows
from noria.errors import ModelError, ModelIncompatibleError, NoriaError, RegistryError
from noria.evaluation.business_value import business_totals
from noria.evaluation.comparison import compare
from noria.evaluation.decisions import check_decisions, decide, watched_metrics
from noria.evaluation.metrics import Answers, calibration_by_chance, measure
from noria.evaluation.runs import packed_answers
from noria.features.derive import Deriver
from noria.inference.loading import load_candidate, load_model_version
from noria.inference.predictor import Predictor
from noria.monitoring.lineage import trained_rows
from noria.monitoring.reference import Reference, as_answers
from noria.ports import ArtifactStore
from noria.records.bundle import Decision
from noria.records.codec import from_bytes
from noria.records.evaluation import (
    BusinessTotals,
    CalibrationCheck,
    Comparison,
    DecisionCheck,
    Evaluation,
    Slice,
    SliceComparison,
)
from noria.records.prediction import Row
from noria.records.training import CandidateResult
from noria.spec.model import ProjectSpec
from noria.storage.hashing import sha256_hex
from noria.storage.keys import OUT_OF_FOLD, REFERENCE, RESULT, TEST, TRAIN, candidate_key

_MIN_SLICE_ROWS = 10  # fewer say nothing
_PROPER = "log_loss"  # what a recalibration betters: the same ranking, truer probabilities
_SEED = 20_260  # of the bootstrap; any constant keeps evaluations repeatable


@dataclass(frozen=True)
class Challenger:
    """A candidate of a run, and the rows it was trained for."""

    project: str
    run_id: str
    dataset_version: str
    candidate: str

    def key(self, name: str) -> str:
        """Return the key of one of its files."""
        return candidate_key(self.project, self.run_id, self.candidate, name)


def bundle_sha256(challenger: Challenger, artifacts: ArtifactStore) -> str:
    """Return the hash of the challenger's bundle."""
    return sha256_hex(artifacts.get(challenger.key(BUNDLE_FILE)))


@dataclass(frozen=True)
class _AgainstChampion:
    """How the challenger compares with the champion, or why it could not be compared."""

    n_unseen: int = 0
    comparison: Comparison | None = None
    primary: Comparison | None = None  # where the comparison is by another metric
    fault: str | None = None
    slices: tuple[SliceComparison, ...] = ()
    calibration_errors: tuple[float, float] | None = None  # (champion, challenger)
    new_columns: tuple[str, ...] = ()


def learned_decision(result: bytes) -> Decision:
    """Return the decision of a candidate's `result.json`: as the spec's rule learned it.

    The bundle may hold another one already: an attempt that was cut off may have replaced it.
    """
    found = from_bytes(CandidateResult, result).decision
    return Decision(found.weights, found.costs, found.share, found.known_shares)


def judged_again(
    reference: Reference, out_of_fold: bytes, classes: Sequence[str], decision: Decision
) -> Reference:
    """Return a reference profile whose out-of-fold answers are decided otherwise.

    Parameters
    ----------
    out_of_fold : bytes
        The candidate's `out_of_fold.npz`.
    """
    with np.load(BytesIO(out_of_fold), allow_pickle=False) as kept:
        truth, answers = kept["truth"], decide(kept["outputs"], decision)
    scores = {name: measure(name, truth, answers) for name in reference.scores}
    return reference.judged_by([*as_answers(classes, answers)], scores)


class ScoredTestRows:
    """The test rows, scored.

    A decision that is degenerate on them is replaced by the most probable class, in the
    challenger's bundle too.
    """

    def __init__(self, who: Challenger, spec: ProjectSpec, artifacts: ArtifactStore) -> None:
        self._who, self._spec, self._artifacts = who, spec, artifacts
        version = who.dataset_version
        self._derived = {name: d.model_dump(mode="json") for name, d in spec.derived.items()}
        self._test = read_rows(artifacts, spec.name, version, TEST)
        self._train = read_rows(artifacts, spec.name, version, TRAIN)
        self._challenger = load_candidate(artifacts, spec.name, who.run_id, who.candidate)
        self._classes = list(self._challenger.classes)
        self._shown: dict[str, set[Any]] = {}  # levels of personal columns
        self._truth = self._numbers([row[TARGET] for row in self._test])
        result = artifacts.get(who.key(RESULT))
        self._learned = learned_decision(result)
        self._is_recalibrated = from_bytes(CandidateResult, result).recalibrated_from is not None
        self._outputs = [self._challenger.score(row) for row in self._test]
        self._answers = self._decided(self._challenger.classes, self._outputs, self._learned)
        self._decision = self._checked(spec.decision.rule)
        self._replaced: DecisionCheck | None = None
        if self._decision is not None and self._decision.is_degenerate:
            self._fall_back()

    def _checked(self, rule: str) -> DecisionCheck | None:
        """Return what the decisions are worth; None for a regression, which decides nothing."""
        if not self._challenger.classes:
            return None
        return check_decisions(
            rule,
            self._spec.evaluation.primary_metric,
            self._truth,
            self._answers,
            commonest=int(self._shares().argmax()),
            classes=self._classes,
            max_share_ratio=self._spec.decision.max_share_ratio,
        )

    def _fall_back(self) -> None:
        """Let the most probable class decide, where the spec's rule learned something else."""
        if self._spec.decision.rule == "most_probable":
            return
        plain = self._learned.plain()
        self._answers = self._decided(self._challenger.classes, self._outputs, plain)
        self._replaced, self._decision = self._decision, self._checked("most_probable")
        key = self._who.key(BUNDLE_FILE)
        body = with_description(self._artifacts.get(key), plain.to_dict())
        self._artifacts.put(key, body)
        who = self._who
        self._challenger = load_candidate(self._artifacts, who.project, who.run_id, who.candidate)

    def evaluation(self, champion: str | None, alias_revision: int) -> Evaluation:
        """Return the challenger's metrics, and how it compares with baseline and champion."""
        found = self._against_champion(champion)
        return Evaluation(
            project=self._spec.name,
            dataset_version=self._who.dataset_version,
            challenger_sha256=bundle_sha256(self._who, self._artifacts),
            n_test=len(self._test),
            metrics=self._metrics(),
            against_baseline=self._compare(self._answers, self._baseline(), self._truth),
            slices=tuple(self._slices()),
            business_value=self._business_value(),
            alias_revision=alias_revision,
            champion=champion,
            n_unseen=found.n_unseen,
            against_champion=found.comparison,
            primary_against_champion=found.primary,
            champion_fault=found.fault,
            decision=self._decision,
            replaced_decision=self._replaced,
            calibration=self._calibration(found),
            slices_against_champion=found.slices,
            new_columns=found.new_columns,
        )

    def answers(self) -> bytes:
        """Return the challenger's answers on the test rows, for the report, as an .npz file."""
        return packed_answers(self._answers, truth=self._truth)

    def reference(self) -> bytes:
        """Return the reference profile with the challenger's own answers to unseen rows."""
        reference = Reference.from_bytes(self._artifacts.get(self._who.key(REFERENCE)))
        classes = self._challenger.classes
        if self._replaced is not None:
            body = self._artifacts.get(self._who.key(OUT_OF_FOLD))
            reference = judged_again(reference, body, classes, self._challenger.decision)
        outputs = self._answers.outputs[:, : max(len(classes), 1)]
        rows = [*as_answers(classes, Answers(outputs, self._answers.decided))]
        return reference.answering(rows, self._metrics()).to_bytes()

    def _metrics(self) -> dict[str, float]:
        names = dict.fromkeys((*self._spec.evaluation.metrics, *watched_metrics(self._spec)))
        return {name: measure(name, self._truth, self._answers) for name in names}

    def _business_value(self) -> BusinessTotals | None:
        """Return what the test rows are worth by the project's postprocessor."""
        outputs = self._answers.outputs[:, : len(self._challenger.classes)].tolist()
        added = [
            self._challenger.postprocess(row, scores)
            for row, scores in zip(self._test, outputs, strict=True)
        ]
        return business_totals(added, (self._truth == len(self._challenger.classes) - 1).tolist())

    def _calibration(self, found: _AgainstChampion) -> CalibrationCheck | None:
        if not self._challenger.classes:
            return None
        errors = found.calibration_errors or (None, None)
        error = measure("calibration_error", self._truth, self._answers)
        return CalibrationCheck(error, calibration_by_chance(self._answers), *errors)

    def _slices(self) -> Iterator[Slice]:
        """Yield the primary metric on each level of the spec's slices, with its rows."""
        metric = self._spec.evaluation.primary_metric
        for column, level, rows in self._levels():
            score = None
            if len(rows) >= _MIN_SLICE_ROWS:
                score = measure(metric, self._truth[rows], self._answers.at(rows))
            yield Slice(column, level, len(rows), score)

    def _levels(self) -> Iterator[tuple[str, str, Any]]:
        """Yield (column, level, places of its test rows) of the spec's slices.

        A personal column's rare levels, by `dataset.pii_min_rows`, are left out.
        """
        columns = self._spec.evaluation.slices
        derive = Deriver(self._derived)
        extended = [derive.extended(row) for row in self._test] if columns else []
        for column in columns:
            levels = [row[column] for row in extended]
            known = {level for level in levels if level is not None}
            if column in self._spec.private_columns:
                known &= self._shown_levels(derive, column)
            for level in sorted(known):
                yield column, level, np.flatnonzero(np.array([v == level for v in levels]))

    def _shown_levels(self, derive: Deriver, column: str) -> set[Any]:
        """Return the levels of a personal column that enough training rows have."""
        if column not in self._shown:
            counts = Counter(derive.extended(row)[column] for row in self._train)
            least = self._spec.dataset.pii_min_rows
            self._shown[column] = {level for level, n in counts.items() if n >= least}
        return self._shown[column]

    def _slices_against(self, theirs: Answers, unseen: Any) -> tuple[SliceComparison, ...]:
        """Return the paired comparison on each slice of enough rows that the champion has not seen.

        The intervals are Bonferroni's: of many slices one looks worse by chance.
        """
        least, is_unseen = self._spec.evaluation.min_test_rows, np.zeros(len(self._test), bool)
        is_unseen[unseen] = True
        parts = [(column, level, rows[is_unseen[rows]]) for column, level, rows in self._levels()]
        parts = [part for part in parts if len(part[2]) >= least]
        found = []
        for column, level, rows in parts:
            compared = self._compare(
                self._answers.at(rows), theirs.at(rows), self._truth[rows], n_tests=len(parts)
            )
            place = (compared.improvement, compared.low, compared.high)
            found.append(SliceComparison(column, level, len(rows), *place))
        return tuple(found)

    def _against_champion(self, champion: str | None) -> _AgainstChampion:
        """Return the paired comparison on the rows that the champion was not trained on."""
        if champion is None:
            return _AgainstChampion()
        try:
            predictor = load_model_version(self._artifacts, self._spec.name, champion)
            learned_from = trained_rows(self._artifacts, self._spec.name, champion)
            all_theirs = self._scored(predictor, self._test)
        except (ModelError, RegistryError, LookupError, TypeError, ValueError) as error:
            reason = error.message if isinstance(error, NoriaError) else repr(error)
            return _AgainstChampion(fault=reason)
        unseen = self._unseen(learned_from)
        if len(unseen) < self._spec.evaluation.min_test_rows:
            return _AgainstChampion(len(unseen))
        ours, theirs, truth = self._answers.at(unseen), all_theirs.at(unseen), self._truth[unseen]
        errors = None
        if self._challenger.classes:
            metric = "calibration_error"
            errors = measure(metric, truth, theirs), measure(metric, truth, ours)
        known = predictor.columns
        return _AgainstChampion(
            len(unseen),
            self._compare(ours, theirs, truth, by=_PROPER if self._is_recalibrated else None),
            self._compare(ours, theirs, truth) if self._is_recalibrated else None,
            slices=self._slices_against(all_theirs, unseen),
            calibration_errors=errors,
            new_columns=tuple(
                name
                for name, column in self._challenger.columns.items()
                if name not in known and not column.optional
            ),
        )

    def _unseen(self, learned_from: Sequence[Row]) -> list[int]:
        """Return the places of the test rows that the champion was not trained on.

        Where time splits, those that came after its own: inputs may come again, and which of them
        count must not hang on their targets. Else those with other inputs.
        """
        columns, n_test = list(self._spec.dataset.columns), len(self._test)
        if self._spec.split.kind == "time":
            rows = [*self._train, *self._test]
            n_new = len(unseen_rows(rows, learned_from, columns, self._spec.split))
            return [*range(max(n_test - n_new, 0), n_test)]
        trained_on = {
            input_hash({name: row.get(name) for name in columns}, columns) for row in learned_from
        }
        return [i for i, row in enumerate(self._test) if input_hash(row, columns) not in trained_on]

    def _compare(
        self,
        ours: Answers,
        theirs: Answers,
        truth: Any,
        *,
        n_tests: int = 1,
        by: str | None = None,  # metric; the primary one else
    ) -> Comparison:
        settings = self._spec.evaluation
        return compare(
            by or settings.primary_metric,
            truth,
            (ours, theirs),
            n_replicates=settings.bootstrap_replicates,
            confidence=1.0 - (1.0 - settings.confidence) / n_tests,
            seed=_SEED,
        )

    def _scored(self, predictor: Predictor, rows: Sequence[Row]) -> Answers:
        """Return a model's answers by the challenger's class order; unknown classes get 0."""
        outputs = [predictor.score(row) for row in rows]
        return self._decided(predictor.classes, outputs, predictor.decision)

    def _decided(
        self, classes: Sequence[str], outputs: Sequence[Sequence[float]], decision: Decision
    ) -> Answers:
        raw = np.array(outputs, dtype=np.float64)
        if self._spec.project.task == "regression":
            if not np.isfinite(raw).all():
                raise ModelIncompatibleError("it predicts no finite number for a test row")
            return Answers(raw, None)
        for name in classes:
            if name not in self._classes:
                self._classes.append(name)
        numbers = np.array([self._classes.index(name) for name in classes])
        aligned = np.zeros((len(outputs), len(self._classes)))
        aligned[:, numbers] = raw
        return Answers(aligned, numbers[decide(raw, decision).decided])

    def _numbers(self, targets: Sequence[Any]) -> Any:
        if self._spec.project.task == "regression":
            return np.array(targets, dtype=np.float64)
        for name in sorted(set(targets) - set(self._classes)):
            self._classes.append(name)
        return np.array([self._classes.index(name) for name in targets])

    def _baseline(self) -> Answers:
        """Return what the trivial model answers: class shares, or the mean, of training rows."""
        n_test = len(self._test)
        if self._spec.project.task == "regression":
            mean = float(np.mean([row[TARGET] for row in self._train]))
            return Answers(np.full((n_test, 1), mean), None)
        shares = self._shares()
        return Answers(np.tile(shares, (n_test, 1)), np.full(n_test, shares.argmax()))

    def _shares(self) -> Any:
        """Return the classes' shares of the training rows."""
        targets = [row[TARGET] for row in self._train]
        return np.array([targets.count(name) for name in self._classes]) / len(targets)
