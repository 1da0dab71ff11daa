"""Write what a run found as a report for people, with its JSON twin; and to a tracking server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, unpack
from noria.data.schema_inference import resolved
from noria.data.validation import TARGET
from noria.data.versions import MANIFEST, TRAIN, read_rows
from noria.errors import TransientError
from noria.evaluation.metrics import Answers
from noria.features.derive import Deriver
from noria.features.view import FeatureView
from noria.inference.explanation import Explainer
from noria.inference.predictor import Predictor
from noria.inference.scoring.loading import load_scorer
from noria.ports import ArtifactStore, MetricSink
from noria.reporting.profile import profile
from noria.reporting.training_report import performance, render
from noria.spec.loader import spec_hash
from noria.spec.model import ProjectSpec
from noria.steps.evaluate_challenger import read_evaluation
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    DECISION,
    REPORT_HTML,
    REPORT_JSON,
    RESULT,
    SELECTION,
    TEST_ANSWERS,
    candidate_key,
    dataset_key,
    report_key,
    run_key,
)

_EXPLAINED_ROWS = 200  # enough for a mean; trees take milliseconds each


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
        columns = resolved(artifacts, spec, request.dataset_version)
        document = _Run(request, columns, artifacts).document()
        document["lineage"] = _lineage(request, spec, document, artifacts)
        body = render(document, columns)
        # The shown numbers of a regression's rows stay in the picture.
        document["performance"].pop("truth", None)
        document["performance"].pop("predicted", None)
        artifacts.put(report_key(spec.name, request.run_id, REPORT_JSON), canonical_json(document))
        artifacts.put(key, body)
    return WriteTrainingReportResult(key, _tracked(request, spec, artifacts, sink))


class _Run:
    """The run's artifacts, gathered."""

    def __init__(
        self, request: WriteTrainingReportRequest, spec: ProjectSpec, artifacts: ArtifactStore
    ) -> None:
        self._request, self._spec, self._artifacts = request, spec, artifacts
        files = {
            name: artifacts.get(candidate_key(spec.name, request.run_id, request.candidate, name))
            for name in (BUNDLE_FILE, ARRAYS_FILE)
        }
        self._bundle, arrays = unpack(files)
        self._predictor = Predictor(files)
        self._view = FeatureView(self._bundle["feature_view"])
        scorer = load_scorer(self._bundle["model"], arrays)
        self._explainer = Explainer(self._bundle, self._view, scorer)
        self._rows = read_rows(artifacts, spec.name, request.dataset_version, TRAIN)

    def document(self) -> dict[str, Any]:
        evaluation = read_evaluation(self._artifacts, self._spec.name, self._request.run_id)
        manifest_key = dataset_key(self._spec.name, self._request.dataset_version, MANIFEST)
        derive = Deriver({n: d.model_dump(mode="json") for n, d in self._spec.derived.items()})
        extended = [derive.extended(row) for row in self._rows]
        importance, n_explained = self._importance()
        return {
            **evaluation,
            "run_id": self._request.run_id,
            "decision": self._json(DECISION),
            "selection": self._json(SELECTION),
            "performance": self._performance(),
            "importance": importance,
            "n_explained": n_explained,
            "scale": self._explainer.scale,
            "profile": profile(extended, [row[TARGET] for row in self._rows], self._spec),
            "validation": json.loads(self._artifacts.get(manifest_key))["report"],
        }

    def _json(self, name: str) -> dict[str, Any]:
        key = run_key(self._spec.name, self._request.run_id, name)
        found: dict[str, Any] = json.loads(self._artifacts.get(key))
        return found

    def _performance(self) -> dict[str, Any]:
        key = run_key(self._spec.name, self._request.run_id, TEST_ANSWERS)
        with np.load(BytesIO(self._artifacts.get(key)), allow_pickle=False) as parts:
            answers = Answers(parts["outputs"], parts.get("decided"))
            truth = parts["truth"]
        classes = list(self._predictor.classes)
        # Classes that only the test rows have come behind the model's own.
        unseen = answers.outputs.shape[1] - len(classes) if classes else 0
        classes += [f"(not in training {n + 1})" for n in range(unseen)]
        return performance(answers, truth, classes)

    def _importance(self) -> tuple[list[dict[str, Any]], int]:
        """Return the features by their mean |contribution| to the decided class's score."""
        if self._bundle["model"]["form"] == "kernel":
            return [], 0
        step = max(1, len(self._rows) // _EXPLAINED_ROWS)
        rows, totals = self._rows[::step], np.zeros(self._view.width)
        for row in rows:
            features = self._view.transform(row)
            output = (
                self._predictor.decide(self._predictor.score(row)) if self._predictor.classes else 0
            )
            single = self._bundle["model"]["n_outputs"] == 1
            for i, share in self._explainer.shares(features, 0 if single else output).items():
                totals[i] += abs(share) / len(rows)
        names = self._view.names()
        order = sorted(np.flatnonzero(totals).tolist(), key=lambda i: (-totals[i], i))
        found = [{"feature": names[i], "mean_contribution": float(totals[i])} for i in order[:50]]
        return found, len(rows)


def _lineage(
    request: WriteTrainingReportRequest,
    spec: ProjectSpec,
    document: Mapping[str, Any],
    artifacts: ArtifactStore,
) -> dict[str, Any]:
    key = candidate_key(spec.name, request.run_id, request.candidate, RESULT)
    code = json.loads(artifacts.get(key))["code"]
    return {
        "dataset version": request.dataset_version,
        "sources": ", ".join(document["validation"]["sources"]),
        "spec sha256": spec_hash(spec),
        "challenger bundle sha256": document["challenger_sha256"],
        "parent champion": document["champion"] or "none",
        "seed": spec.search.seed,
        **{f"code: {name}": version for name, version in code.items()},
    }


def _tracked(
    request: WriteTrainingReportRequest,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    sink: MetricSink | None,
) -> bool:
    if sink is None:
        return False
    selection = json.loads(artifacts.get(run_key(spec.name, request.run_id, SELECTION)))
    evaluation = read_evaluation(artifacts, spec.name, request.run_id)
    try:
        for candidate in selection["candidates"]:
            is_challenger = candidate["candidate"] == selection["challenger"]
            facts = {
                "project": spec.name,
                "run_id": request.run_id,
                "dataset_version": request.dataset_version,
                "algorithm": candidate["algorithm"],
                "is_challenger": is_challenger,
            }
            metrics = {f"cv_{selection['metric']}": candidate["cv_mean"]}
            files = {
                name: artifacts.get(
                    candidate_key(spec.name, request.run_id, candidate["candidate"], name)
                )
                for name in (RESULT, BUNDLE_FILE, ARRAYS_FILE)
            }
            if is_challenger:
                metrics |= {f"test_{name}": value for name, value in evaluation["metrics"].items()}
                files |= {
                    name: artifacts.get(report_key(spec.name, request.run_id, name))
                    for name in (REPORT_HTML, REPORT_JSON)
                }
            sink.log_candidate(candidate["candidate"], facts, candidate["params"], metrics, files)
    except TransientError:
        return False
    return True
