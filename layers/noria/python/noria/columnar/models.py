"""The model versions that a process scores files with."""

from noria.columnar.engine import BatchPredictor
from noria.columnar.profiles import AnswersProfiler
from noria.inference.loading import load_model_version
from noria.monitoring.prediction_log import read_reference
from noria.ports import ArtifactStore


class BatchModels:
    """The last model version and its reference profile stay loaded."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._loaded: tuple[str, str] | None = None
        self._profiler: AnswersProfiler | None = None

    def get(self, project: str, model_version: str) -> BatchPredictor:
        """Return a model version; ModelError or RegistryError when it cannot be loaded."""
        if self._loaded != (project, model_version):
            predictor = load_model_version(self._artifacts, project, model_version)
            self._model, self._profiler = BatchPredictor(predictor), None
            self._loaded = (project, model_version)
        return self._model

    def profiler(self, project: str, model_version: str) -> AnswersProfiler:
        """Return what profiles a version's answers; the same errors."""
        model = self.get(project, model_version)
        if self._profiler is None:
            reference = read_reference(self._artifacts, project, model_version)
            self._profiler = AnswersProfiler(model.predictor, reference)
        return self._profiler
