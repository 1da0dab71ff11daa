"""Dataset versions: immutable rows under a content hash, manifest written last."""

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from noria.errors import ModelCorruptError
from noria.ports import ArtifactStore
from noria.records.codec import from_bytes, to_bytes
from noria.records.dataset import DatasetManifest, DatasetOrigin
from noria.records.prediction import Row
from noria.storage.hashing import canonical_json, sha256_hex, short_id
from noria.storage.keys import MANIFEST, TEST, TRAIN, dataset_key


def encode_rows(rows: Iterable[Any]) -> bytes:
    """Return rows as gzipped JSON lines; equal rows give equal lines."""
    return gzip.compress(_lines(rows), mtime=0)


def decode_rows(body: bytes) -> list[Row]:
    """Return the rows `encode_rows` wrote."""
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def _lines(rows: Iterable[Any]) -> bytes:
    return b"".join(canonical_json(row) + b"\n" for row in rows)


def write_dataset(
    artifacts: ArtifactStore,
    project: str,
    parts: tuple[Sequence[Row], Sequence[Row]],
    origin: DatasetOrigin,
) -> str:
    """Store (training rows, test rows) and return the dataset version, their content hash.

    Notes
    -----
    Writing the same rows twice is one version. The version exists once its manifest does. The
    hashes are of the rows, not of the archives: another zlib packs the same rows otherwise.
    """
    bodies = dict(zip((TRAIN, TEST), map(_lines, parts), strict=True))
    hashes = {name: sha256_hex(body) for name, body in bodies.items()}
    version = short_id(canonical_json(hashes))
    for name, body in bodies.items():
        packed = gzip.compress(body, mtime=0)
        artifacts.put(dataset_key(project, version, name), packed, if_absent=True)
    manifest = DatasetManifest(
        project=project,
        dataset_version=version,
        files=hashes,
        n_train=len(parts[0]),
        n_test=len(parts[1]),
        **vars(origin),
    )
    artifacts.put(dataset_key(project, version, MANIFEST), to_bytes(manifest), if_absent=True)
    return version


def read_dataset_manifest(artifacts: ArtifactStore, project: str, version: str) -> DatasetManifest:
    """Return the manifest of a dataset version; KeyError when there is none."""
    return from_bytes(DatasetManifest, artifacts.get(dataset_key(project, version, MANIFEST)))


def read_rows(artifacts: ArtifactStore, project: str, version: str, name: str) -> list[Row]:
    """Return the rows of `TRAIN` or `TEST`; ModelCorruptError when they changed since written."""
    manifest = read_dataset_manifest(artifacts, project, version)
    key = dataset_key(project, version, name)
    packed = artifacts.get(key)
    try:
        body = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        body = b""
    # Earlier versions of Noria hashed the archive.
    if manifest.files[name] not in (sha256_hex(body), sha256_hex(packed)):
        raise ModelCorruptError(f"{key}: the rows differ from the manifest's hash", key=key)
    return [json.loads(line) for line in body.splitlines()]
