"""What a model version was made from, through its recalibrations."""

from collections.abc import Iterator

from noria.data.versions import read_dataset_manifest, read_rows
from noria.errors import ModelCorruptError
from noria.ports import ArtifactStore
from noria.records.evaluation import Lineage
from noria.records.prediction import Row
from noria.registry.versions import read_manifest
from noria.storage.keys import TRAIN


def lineages(artifacts: ArtifactStore, project: str, model_version: str) -> Iterator[Lineage]:
    """Yield the lineage of a version and, where it was recalibrated, of those before it."""
    version: str | None = model_version
    while version is not None:
        lineage = read_manifest(artifacts, project, version).lineage
        if lineage is None:
            raise ModelCorruptError(f"{project}: the manifest of {version} has no lineage")
        yield lineage
        version = lineage.recalibrated_from


def training_files(artifacts: ArtifactStore, project: str, model_version: str) -> tuple[str, ...]:
    """Return the keys of the source files that a version, or one it comes from, learned from."""
    if read_manifest(artifacts, project, model_version).lineage is None:
        return ()
    found = [
        key
        for lineage in lineages(artifacts, project, model_version)
        for key in read_dataset_manifest(artifacts, project, lineage.dataset_version).sources
    ]
    return (*dict.fromkeys(found),)


def trained_rows(artifacts: ArtifactStore, project: str, model_version: str) -> list[Row]:
    """Return the rows that a model version has learned from, the newest dataset version first."""
    return [
        row
        for lineage in lineages(artifacts, project, model_version)
        for row in read_rows(artifacts, project, lineage.dataset_version, TRAIN)
    ]
