"""Make the dataset version that the serving model is fitted on: all rows, the newest included."""

from dataclasses import dataclass

from noria.data.versions import read_dataset_manifest, read_rows, write_dataset
from noria.ports import ArtifactStore
from noria.records.dataset import DatasetOrigin
from noria.spec.model import ProjectSpec
from noria.storage.keys import TEST, TRAIN, refit_run_id


@dataclass(frozen=True)
class PrepareRefitRequest:
    """Whose rows."""

    project: str
    run_id: str
    dataset_version: str


@dataclass(frozen=True)
class PrepareRefitResult:
    """What is fitted again, and under which run id its files lie."""

    run_id: str
    dataset_version: str
    n_rows: int


def prepare_refit(
    request: PrepareRefitRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> PrepareRefitResult:
    """Store the training rows and then the test rows as training rows of their own version.

    Reads a dataset version whose evaluation is over; writes the other one. The same again is the
    same version. It names the same sources, and holds no test rows: whatever is fitted on it is
    judged on later rows only.
    """
    version = request.dataset_version
    manifest = read_dataset_manifest(artifacts, spec.name, version)
    rows = [row for part in (TRAIN, TEST) for row in read_rows(artifacts, spec.name, version, part)]
    origin = DatasetOrigin(manifest.sources, manifest.offered, manifest.report, manifest.schema)
    whole = write_dataset(artifacts, spec.name, (rows, []), origin)
    return PrepareRefitResult(refit_run_id(request.run_id), whole, len(rows))
