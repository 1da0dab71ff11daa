"""Dataset versions: immutable rows under a content hash, manifest written last."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from noria.errors import ModelCorruptError
from noria.hashing import canonical_json, sha256_hex, short_id
from noria.layout import dataset_key
from noria.ports import ArtifactStore

TRAIN, TEST = "train/rows.jsonl.gz", "test/rows.jsonl.gz"
MANIFEST = "manifest.json"

Row = Mapping[str, Any]


def encode_rows(rows: Iterable[Any]) -> bytes:
    """Return rows as gzipped JSON lines; equal rows give equal bytes."""
    lines = b"".join(canonical_json(row) + b"\n" for row in rows)
    return gzip.compress(lines, mtime=0)


def decode_rows(body: bytes) -> list[dict[str, Any]]:
    """Return the rows `encode_rows` wrote."""
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def write_dataset(
    artifacts: ArtifactStore,
    project: str,
    parts: tuple[Sequence[Row], Sequence[Row]],
    facts: Mapping[str, Any],
) -> str:
    """Store (training rows, test rows) and return the dataset version, their content hash.

    Parameters
    ----------
    facts : JSON object
        What the manifest records beside hashes and counts: sources, schema, report.

    Notes
    -----
    Writing the same rows twice is one version. The version exists once its manifest does.
    """
    bodies = dict(zip((TRAIN, TEST), map(encode_rows, parts), strict=True))
    hashes = {name: sha256_hex(body) for name, body in bodies.items()}
    version = short_id(canonical_json(hashes))
    for name, body in bodies.items():
        artifacts.put(dataset_key(project, version, name), body, if_absent=True)
    manifest = {
        **facts,
        "project": project,
        "dataset_version": version,
        "files": hashes,
        "n_train": len(parts[0]),
        "n_test": len(parts[1]),
    }
    artifacts.put(dataset_key(project, version, MANIFEST), canonical_json(manifest), if_absent=True)
    return version


def read_rows(
    artifacts: ArtifactStore, project: str, version: str, name: str
) -> list[dict[str, Any]]:
    """Return the rows of `TRAIN` or `TEST`; ModelCorruptError when they changed since written."""
    manifest = json.loads(artifacts.get(dataset_key(project, version, MANIFEST)))
    body = artifacts.get(dataset_key(project, version, name))
    if sha256_hex(body) != manifest["files"][name]:
        raise ModelCorruptError(
            f"{dataset_key(project, version, name)}: the bytes differ from the manifest's hash",
            key=dataset_key(project, version, name),
        )
    return decode_rows(body)
