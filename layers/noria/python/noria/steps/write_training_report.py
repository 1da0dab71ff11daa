"""Write what a run found as a report for people, with its JSON twin; and to a tracking server."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from noria.data.schema_inference import spec_of_dataset
from noria.data.validation import TARGET
from noria.data.versions import read_dataset_manifest, read_rows
from noria.errors import ModelCorruptError, TransientError
from noria.evaluation.metrics import Answers
from noria.evaluation.runs import read_decision, read_evaluation, read_selection
from noria.features.derive import Deriver
from noria.inference.loading import SERVING_FILES, load_candidate
from noria.ports import ArtifactStore, MetricSink
from noria.records.codec import from_bytes
from noria.records.prediction import Row
from noria.records.report import (
    FeatureImportance,
    FeatureSwarm,
    HeldOutPerformance,
    TrainingReport,
)
from noria.records.training import CandidateResult
from noria.reporting.profile import profile
from noria.reporting.training_report import performance, render
from noria.spec.loader import spec_hash
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    REPORT_HTML,
    REPORT_JSON,
    RESULT,
    TEST_ANSWERS,
    TRAIN,
    candidate_key,
    report_key,
    run_key,
)
from noria.training.diagram import pipeline_of
from noria.training.importance import shuffled_columns

_EXPLAINED_ROWS = 200  # enough for a mean; trees take milliseconds each
_SWARMS = 10  # features whose contributions are drawn row by row


@dataclass(frozen=True)
class WriteTrainingReportRequest:
    """Which run."""

    project: str
    run_id: str
    dataset_version: str
    candidate: str


@dataclass(frozen=True)
class WriteTrainingReportResult:
    """Where the report lies, and whether a tracking server has it too."""

    report_key: str
    tracked: bool


def write_training_report(
    request: WriteTrainingReportRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    sink: MetricSink | None,
) -> WriteTrainingReportResult:
    """Write `report.html` and `report.json` of a run, once.

    Reads the run's evaluation, selection and decision, the training rows and the challenger's
    bundle; the test rows only through the answers that the evaluation kept. A tracking server
    that does not answer leaves the report as it is.
    """
    key = report_key(spec.name, request.run_id, REPORT_HTML)
    if not artifacts.exists(key):
        columns = spec_of_dataset(artifacts, spec, request.dataset_version)
        report = _Run(request, columns, artifacts).report(spec_hash(spec))
        body = canonical_json(report.to_dict())
        artifacts.put(report_key(spec.name, request.run_id, REPORT_JSON), body)
        artifacts.put(key, render(report, columns))
    return WriteTrainingReportResult(key, _tracked(request, spec, artifacts, sink))


@dataclass(frozen=True)
class _Explained:
    """What the model's scores of some training rows are made of."""

    importance: tuple[FeatureImportance, ...] = ()
    swarms: tuple[FeatureSwarm, ...] = ()
    n_rows: int = 0


class _Run:
    """The run's artifacts, gathered."""

    def __init__(
        self, request: WriteTrainingReportRequest, spec: ProjectSpec, artifacts: ArtifactStore
    ) -> None:
        self._request, self._spec, self._artifacts = request, spec, artifacts
        self._predictor = load_candidate(artifacts, spec.name, request.run_id, request.candidate)
        self._view = self._predictor.view
        self._rows = read_rows(artifacts, spec.name, request.dataset_version, TRAIN)

    def report(self, spec_sha256: str) -> TrainingReport:
        project, run_id = self._spec.name, self._request.run_id
        evaluation = read_evaluation(self._artifacts, project, run_id)
        version = self._request.dataset_version
        validation = read_dataset_manifest(self._artifacts, project, version).report
        if validation is None:
            raise ModelCorruptError(f"{project}: dataset {version} has no validation report")
        derive = Deriver({n: d.model_dump(mode="json") for n, d in self._spec.derived.items()})
        extended = [derive.extended(row) for row in self._rows]
        explained = self._explained()
        key = candidate_key(project, run_id, self._request.candidate, RESULT)
        result = from_bytes(CandidateResult, self._artifacts.get(key))
        lineage: dict[str, str | int] = {
            "dataset version": version,
            "sources": ", ".join(validation.sources),
            "spec sha256": spec_sha256,
            "challenger bundle sha256": evaluation.challenger_sha256,
            "parent champion": evaluation.champion or "none",
            "seed": self._spec.search.seed,
        }
        return TrainingReport(
            run_id=run_id,
            evaluation=evaluation,
            decision=read_decision(self._artifacts, project, run_id),
            selection=read_selection(self._artifacts, project, run_id),
            performance=self._performance(),
            importance=explained.importance,
            n_explained=explained.n_rows,
            scale=self._predictor.explainer.scale,
            profile=profile(extended, [row[TARGET] for row in self._rows], self._spec),
            validation=validation,
            lineage=lineage | {f"code: {name}": v for name, v in result.code.items()},
            shuffled=self._shuffled(),
            pipeline=pipeline_of(self._predictor, result),
            swarms=explained.swarms,
        )

    def _performance(self) -> HeldOutPerformance:
        key = run_key(self._spec.name, self._request.run_id, TEST_ANSWERS)
        with np.load(BytesIO(self._artifacts.get(key)), allow_pickle=False) as parts:
            answers = Answers(parts["outputs"], parts.get("decided"))
            truth = parts["truth"]
        classes = list(self._predictor.classes)
        # Classes that only the test rows have come after the model's own.
        unseen = answers.outputs.shape[1] - len(classes) if classes else 0
        classes += [f"(not in training {n + 1})" for n in range(unseen)]
        return performance(answers, truth, classes)

    def _explained(self) -> _Explained:
        """Return the features by their mean |contribution| to the decided class's score."""
        if self._predictor.model.form == "kernel":
            return _Explained()
        step = max(1, len(self._rows) // _EXPLAINED_ROWS)
        rows = self._rows[::step]
        features = [self._view.transform(row) for row in rows]
        shares = [
            self._predictor.explainer.shares(part, self._output(row))
            for row, part in zip(rows, features, strict=True)
        ]
        totals = np.zeros(self._view.width)
        for found in shares:
            for i, share in found.items():
                totals[i] += abs(share) / len(rows)
        names = self._view.names()
        order = sorted(np.flatnonzero(totals).tolist(), key=lambda i: (-totals[i], i))
        swarms = [
            FeatureSwarm(
                names[i],
                tuple(found.get(i, 0.0) for found in shares),
                tuple(part.get(i, 0.0) for part in features),
            )
            for i in order[:_SWARMS]
        ]
        importance = [FeatureImportance(names[i], float(totals[i])) for i in order[:50]]
        return _Explained(tuple(importance), tuple(swarms), len(rows))

    def _output(self, row: Row) -> int:
        """Return which output of the model a row is decided by."""
        if self._predictor.model.n_outputs == 1 or not self._predictor.classes:
            return 0
        return self._predictor.decide(self._predictor.score(row))

    def _shuffled(self) -> Mapping[str, float]:
        """Return what each column is worth to the primary metric, on rows that were trained on.

        Nothing of a kernel model, which takes milliseconds a row.
        """
        if self._predictor.model.form == "kernel":
            return {}
        targets = [row[TARGET] for row in self._rows]
        classes = list(self._predictor.classes)
        truth = np.array([classes.index(t) for t in targets] if classes else targets)
        return shuffled_columns(
            self._predictor,
            self._rows,
            truth,
            self._spec.evaluation.primary_metric,
            list(self._predictor.columns),
        )


def _tracked(
    request: WriteTrainingReportRequest,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    sink: MetricSink | None,
) -> bool:
    if sink is None:
        return False
    selection = read_selection(artifacts, spec.name, request.run_id)
    evaluation = read_evaluation(artifacts, spec.name, request.run_id)
    try:
        for candidate in selection.candidates:
            is_challenger = candidate.candidate == selection.challenger
            facts = {
                "project": spec.name,
                "run_id": request.run_id,
                "dataset_version": request.dataset_version,
                "algorithm": candidate.algorithm,
                "is_challenger": is_challenger,
            }
            found = {**candidate.cv_metrics, selection.metric: candidate.cv_mean}
            metrics = {f"cv_{name}": value for name, value in found.items()}
            metrics |= {f"training_{n}": value for n, value in candidate.training_metrics.items()}
            files = {
                name: artifacts.get(
                    candidate_key(spec.name, request.run_id, candidate.candidate, name)
                )
                for name in (RESULT, *SERVING_FILES)
            }
            if is_challenger:
                metrics |= {f"test_{name}": value for name, value in evaluation.metrics.items()}
                files |= {
                    name: artifacts.get(report_key(spec.name, request.run_id, name))
                    for name in (REPORT_HTML, REPORT_JSON)
                }
            sink.log_candidate(candidate.candidate, facts, candidate.params, metrics, files)
    except TransientError:
        return False
    return True
