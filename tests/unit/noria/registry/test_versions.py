import pytest

from noria.errors import (
    ModelCorruptError,
    ModelVersionConflictError,
    ModelVersionNotFoundError,
)
from noria.records.evaluation import VersionFacts
from noria.registry.versions import read_files, read_manifest, verify_version, write_version
from noria.storage.keys import model_key
from tests.support.fakes import MemoryArtifacts

FILES = {"a.json": b"{}", "b.bin": b"\x00\x01"}


def _write(artifacts, files=FILES, facts=None):
    write_version(artifacts, "p", "v1", files, facts or VersionFacts("now"))


class _Cut(MemoryArtifacts):
    """Fails at the n-th write, before or after it took place."""

    def __init__(self, writes, *, lands):
        super().__init__()
        self.left, self.lands = writes, lands

    def put(self, key, body, *, if_absent=False):
        if self.left == 0:
            if self.lands:
                super().put(key, body, if_absent=if_absent)
            raise ConnectionError("cut off")
        self.left -= 1
        return super().put(key, body, if_absent=if_absent)


@pytest.mark.parametrize("lands", [False, True])
@pytest.mark.parametrize("n_writes", range(3))
def test_a_version_cut_off_anywhere_is_invisible_and_can_be_completed(n_writes, lands):
    """It exists from its manifest on, never half."""
    artifacts = _Cut(n_writes, lands=lands)
    with pytest.raises(ConnectionError):
        _write(artifacts)
    if not (n_writes == 2 and lands):
        with pytest.raises(ModelVersionNotFoundError):
            read_manifest(artifacts, "p", "v1")
    artifacts.left = 99
    _write(artifacts, facts=VersionFacts("later"))
    assert read_files(artifacts, "p", "v1", FILES) == FILES


def test_other_content_under_the_same_name_is_refused_and_changes_nothing():
    """Immutable means immutable."""
    artifacts = MemoryArtifacts()
    _write(artifacts)
    before = dict(artifacts.objects)
    with pytest.raises(ModelVersionConflictError):
        _write(artifacts, {**FILES, "a.json": b"[]"})
    assert artifacts.objects == before


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_damage_is_found_before_anything_parses_it(damage):
    """Hash first, whatever the file."""
    artifacts = MemoryArtifacts()
    _write(artifacts)
    key = model_key("p", "v1", "b.bin")
    if damage == "gone":
        del artifacts.objects[key]
    else:
        artifacts.objects[key] = b"\x00\x02"
    with pytest.raises(ModelCorruptError):
        verify_version(artifacts, "p", "v1")


def test_a_manifest_that_is_not_json_is_corrupt():
    """Not a missing version: someone must look."""
    artifacts = MemoryArtifacts()
    artifacts.put(model_key("p", "v1", "manifest.json"), b"\xff")
    with pytest.raises(ModelCorruptError):
        read_manifest(artifacts, "p", "v1")
