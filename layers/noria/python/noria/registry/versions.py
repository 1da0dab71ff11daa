"""Model versions: immutable folders whose manifest, written last, makes them exist."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from noria.errors import (
    ModelCorruptError,
    ModelVersionConflictError,
    ModelVersionNotFoundError,
    SettingsError,
)
from noria.ports import ArtifactStore
from noria.records.stored import from_stored
from noria.storage.hashing import sha256_hex
from noria.storage.keys import MANIFEST, model_key

if TYPE_CHECKING:  # predict reads files by their hashes only; the facts are ten records
    from noria.records.evaluation import Manifest, VersionFacts


def write_version(
    artifacts: ArtifactStore,
    project: str,
    model_version: str,
    files: Mapping[str, bytes],
    facts: "VersionFacts",
) -> None:
    """Write a model version: its files, then its manifest.

    Parameters
    ----------
    files : mapping of name to bytes
    facts : VersionFacts
        Kept in the manifest.

    Raises
    ------
    ModelVersionConflictError
        The version exists with other content.

    Notes
    -----
    Nothing is ever overwritten, and repeating a write that was cut off completes it. Until the
    manifest is there, no reader sees the version.
    """
    from noria.records.codec import to_bytes
    from noria.records.evaluation import Manifest

    hashes = {name: sha256_hex(body) for name, body in files.items()}
    for name, body in files.items():
        key = model_key(project, model_version, name)
        if not artifacts.put(key, body, if_absent=True):
            _require_same(artifacts.get(key), hashes[name], project, model_version)
    manifest = Manifest(project, model_version, hashes, **vars(facts))
    key = model_key(project, model_version, MANIFEST)
    if not artifacts.put(key, to_bytes(manifest), if_absent=True):
        existing = read_manifest(artifacts, project, model_version)
        if existing.files != hashes:
            raise _conflict(project, model_version)


def read_manifest(artifacts: ArtifactStore, project: str, model_version: str) -> "Manifest":
    """Return the manifest; ModelVersionNotFoundError when the version is not complete."""
    from noria.records.codec import from_bytes
    from noria.records.evaluation import Manifest

    return _read(artifacts, project, model_version, lambda body: from_bytes(Manifest, body))


def read_files(
    artifacts: ArtifactStore,
    project: str,
    model_version: str,
    names: Iterable[str],
    *,
    manifest: str | None = None,
) -> dict[str, bytes]:
    """Return files of a version, each checked against the manifest before anything parses it.

    Parameters
    ----------
    manifest : str, optional
        SHA-256 of the manifest as it was verified; another one is not read.

    Raises
    ------
    ModelVersionNotFoundError, ModelCorruptError
    """

    def parse(body: bytes) -> dict[str, str]:
        if manifest is not None and sha256_hex(body) != manifest:
            raise ValueError("its bytes differ from those that were verified")
        return _hashes(body)

    hashes = _read(artifacts, project, model_version, parse)
    files = {}
    for name in names:
        key = model_key(project, model_version, name)
        try:
            files[name] = artifacts.get(key)
        except KeyError as error:
            raise ModelCorruptError(f"{key}: listed in the manifest, but gone", key=key) from error
        if sha256_hex(files[name]) != hashes.get(name):
            raise ModelCorruptError(f"{key}: the bytes differ from the manifest's hash", key=key)
    return files


def verify_version(artifacts: ArtifactStore, project: str, model_version: str) -> "Manifest":
    """Return the manifest of a version whose every file is present and intact."""
    manifest = read_manifest(artifacts, project, model_version)
    read_files(artifacts, project, model_version, manifest.files)
    return manifest


def manifest_hash(artifacts: ArtifactStore, project: str, model_version: str) -> str:
    """Return the SHA-256 of a version's manifest; ModelVersionNotFoundError where it has none."""
    return _read(artifacts, project, model_version, sha256_hex)


def _hashes(body: bytes) -> dict[str, str]:
    hashes = from_stored("Manifest", body).get("files")
    if not isinstance(hashes, dict):
        raise SettingsError("Manifest: field 'files' must be an object")
    return hashes


def _read[T](
    artifacts: ArtifactStore, project: str, model_version: str, parse: Callable[[bytes], T]
) -> T:
    key = model_key(project, model_version, MANIFEST)
    try:
        return parse(artifacts.get(key))
    except KeyError as error:
        raise ModelVersionNotFoundError(
            f"{project}: there is no model version '{model_version}'",
            project=project,
            model_version=model_version,
        ) from error
    except (ValueError, AttributeError, SettingsError, RecursionError) as error:
        raise ModelCorruptError(f"{key}: not a manifest: {error}", key=key) from error


def _require_same(body: bytes, expected: str, project: str, model_version: str) -> None:
    if sha256_hex(body) != expected:
        raise _conflict(project, model_version)


def _conflict(project: str, model_version: str) -> ModelVersionConflictError:
    return ModelVersionConflictError(
        f"{project}: model version '{model_version}' exists with other content; "
        "start the run under a new run id",
        project=project,
        model_version=model_version,
    )
