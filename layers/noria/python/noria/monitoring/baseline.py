"""The traffic of a champion that was declared normal."""

from noria.ports import ArtifactStore
from noria.records.check import Baseline
from noria.records.codec import from_bytes, to_bytes
from noria.storage.keys import BASELINE, monitoring_key


def read_baseline(artifacts: ArtifactStore, project: str) -> Baseline | None:
    """Return the project's baseline; None where none was declared."""
    try:
        return from_bytes(Baseline, artifacts.get(monitoring_key(project, BASELINE)))
    except KeyError:
        return None


def write_baseline(artifacts: ArtifactStore, project: str, baseline: Baseline) -> None:
    """Declare a baseline; it holds until the next promotion."""
    artifacts.put(monitoring_key(project, BASELINE), to_bytes(baseline))
