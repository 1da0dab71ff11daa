"""The model versions that a process scores files with."""

from noria.columnar.engine import BatchPredictor
from noria.columnar.profiles import AnswersProfiler
from noria.inference.loading import load_model_version
from noria.monitoring.prediction_log import read_reference
from noria.ports import ArtifactStore

_MOST = 2  # a plan's model, and the champion before


class BatchModels:
    """The last two model versions and their reference profiles stay loaded."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._models: dict[tuple[str, str], BatchPredictor] = {}
        self._profilers: dict[tuple[str, str], AnswersProfiler] = {}

    def get(self, project: str, model_version: str) -> BatchPredictor:
        """Return a model version; ModelError or RegistryError when it cannot be loaded."""
        known = self._models.pop((project, model_version), None)
        if known is None:
            known = BatchPredictor(load_model_version(self._artifacts, project, model_version))
        self._models[project, model_version] = known
        while len(self._models) > _MOST:
            oldest = next(iter(self._models))
            del self._models[oldest]
            self._profilers.pop(oldest, None)
        return known

    def profiler(self, project: str, model_version: str) -> AnswersProfiler:
        """Return what profiles a version's answers; the same errors."""
        model, key = self.get(project, model_version), (project, model_version)
        if key not in self._profilers:
            reference = read_reference(self._artifacts, project, model_version)
            self._profilers[key] = AnswersProfiler(model.predictor, reference)
        return self._profilers[key]
