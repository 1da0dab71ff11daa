"""`noria erase`: remove one record from the prediction log, labels and results of batches."""

import gzip
import json
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import groupby
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, Annotated, Any, BinaryIO, NamedTuple, cast

import typer
from pyarrow.lib import ArrowException

from cli.display import console, table
from cli.erased_record import Record, Sieve, Without
from cli.shared import Json, Project, Stage, checked, require_yes, show, told
from cli.target import Target
from infra.config import LOCAL_STAGE as LOCAL
from infra.config import SPECS
from noria.errors import DatasetSchemaError, SettingsError
from noria.records.batch import BatchOutcome, BatchPlan, FileLayout
from noria.records.codec import from_bytes
from noria.reporting.batch_report import render
from noria.spec.catalog import PARQUET
from noria.spec.loader import load_spec
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    OUTCOME,
    PLAN,
    REPORT_HTML,
    batch_inbox_prefix,
    batch_key,
    erasure_key,
    inbox_prefix,
    part_key,
)

_SIGN_OF_LIFE_SECONDS, _SHOWN, _IN_MEMORY = 3.0, 50, 32 << 20
_GZIP = b"\x1f\x8b"
_UNVERSIONED = "null"  # id of the only version in a bucket that keeps none: it is overwritten
_UNREADABLE: tuple[type[Exception], ...] = (
    DatasetSchemaError, SettingsError, EOFError, gzip.BadGzipFile, zlib.error, ArrowException,
    ValueError, LookupError,
)  # fmt: skip
LEARNED = "a dataset version: models have learned it; train again without the row"
_YOURS = "your file: take the row out, and upload it again"
_MENTIONED = "mentions the id outside an id column"
_RUNNING = "the batch has not ended; run this again when it has"
UNREACHED = (
    "model versions (their golden rows and profiles are of training rows), reference profiles, "
    "profiles of the log, and reports: train again without the record for models without it",
    "dataset versions hold ids only where the spec sets dataset.id; other rows are not found",
    "records that have not left the log's buffer: run this again in ten minutes; those in the "
    "fallback queue and among dead letters: for up to 14 days",
    "ids of fewer than 4 characters inside texts: they are looked for in id columns only",
    "texts that people were sent, files that were downloaded, and backups outside the bucket",
)


@dataclass
class Erased:
    """What was done, and what was seen and left."""

    rows: dict[str, int] = field(default_factory=dict)  # key: rows removed
    deleted: list[str] = field(default_factory=list)  # working files that held the record
    left: dict[str, str] = field(default_factory=dict)  # key: why it is still there
    unread: dict[str, str] = field(default_factory=dict)  # key: why it was not looked into


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(erase)


def erase(
    project: Project,
    record_id: Annotated[
        str, typer.Option(help="As it was sent with requests, or stands in a file's id column.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Remove a record's answers and labels from logs and results, older versions too.

    Looks through the prediction log, filed answers, labels, and the results, pages and working
    files of batches. What it cannot reach is said: uploaded files and dataset versions that hold
    the id are listed and left; models and counts are made of many rows together. Nothing brings
    the record back. A run that was cut off is finished by the next one.

    A file without the record is a new object: its retention starts again, and one that Firehose
    had given up on raises its alarm again.
    """
    with told():
        target = Target(stage)
        checked(project)
        if not record_id.strip():
            raise ValueError("--record-id is empty")
        require_yes(
            f"Remove this record from {project} on stage {stage} for good?",
            yes=yes,
            as_json=as_json,
        )
        spec = load_spec(SPECS / f"{project}.toml")
        done = Eraser(target, spec, record_id, quiet=as_json).run()
        data = {"project": project, **vars(done), "not_reached": list(UNREACHED)}
        show(as_json, data, lambda: _table(done))
        if not as_json:
            console.print("not reached:")
            for text in UNREACHED:
                console.print(f"  {text}", markup=False)
        if done.unread:
            raise ValueError(
                f"{len(done.unread)} object(s) could not be looked into; the record may be in them"
            )


def _table(done: Erased) -> Any:
    rows = [(key, f"{n} row(s) removed") for key, n in done.rows.items()]
    rows += [(key, "deleted") for key in done.deleted]
    rows += [(key, f"not looked into: {why}") for key, why in done.unread.items()]
    rows += [(key, f"left: {why}") for key, why in done.left.items()]
    if len(rows) > _SHOWN:
        rows[_SHOWN:] = [(f"and {len(rows) - _SHOWN} more", "--json lists all")]
    return table("Where the record was", ("object", ""), rows or [("nowhere", "-")])


class _Version(NamedTuple):
    """One version of an object."""

    key: str
    version_id: str
    is_latest: bool


_ByKey = Mapping[str, list[_Version]]


class Eraser:
    """Looks through a project's objects and takes one record out."""

    def __init__(self, target: Target, spec: ProjectSpec, record_id: str, *, quiet: bool) -> None:
        self._store, self._client = target.artifacts, target.client("s3")
        self._bucket, self._spec = target.outputs["DataBucket"], spec
        self._record, self._quiet = Record(record_id, spec), quiet
        self._done, self._n_read, self._said_at = Erased(), 0, time.monotonic()

    def run(self) -> Erased:
        """Return what was done.

        First it learns the ids of the record's answers, which only the log tells, and keeps them
        until the end: a run that was cut off may have taken them out of the log already.
        """
        name, record = self._spec.name, self._record
        note = erasure_key(name, record.hashed.removeprefix("~"))
        self._learn(note)
        self._store.put(note, canonical_json(sorted(record.predictions)))
        for prefix, without in (
            ("labels/", record.without_labels),
            ("answers/", record.without_log_lines),
            ("predictions-failed/", record.without_failed_lines),
            ("predictions/", record.without_log_lines),
        ):
            for version in self._versions(f"{prefix}{name}/"):
                self._rewrite(version, without)
        for version in self._versions(f"batch-results/{name}/"):
            if of_results := record.without_results(version.key):
                self._rewrite(version, of_results)
        for job, versions in groupby(
            self._versions(f"batches/{name}/"), lambda version: version.key.split("/")[2]
        ):
            self._clear_batch(job, list(versions))
        for prefix, why in (
            (inbox_prefix(name), _YOURS),
            (batch_inbox_prefix(name), _YOURS),
            (f"datasets/{name}/", LEARNED),
            (f"quarantine/{name}/", "rows that a training run refused"),
            (f"runs/{name}/", "a training run's working file; expires"),
            (f"analyses/{name}/", "an analysis; expires"),
        ):
            for version in self._versions(prefix):
                self._look_at(version, why)
        for version in self._versions(note):
            self._delete(version)
        return self._done

    def _learn(self, note: str) -> None:
        if self._store.exists(note):
            self._record.predictions |= set(json.loads(self._store.get(note)))
        for prefix in ("predictions/", "predictions-failed/", "answers/"):
            for version in self._versions(f"{prefix}{self._spec.name}/"):
                with self._opened(version) as stream:
                    self._record.learn(stream)

    def _rewrite(self, version: _Version, without: Without) -> int:
        """Take the record out of a file, or delete an earlier version that holds it."""
        with self._opened(version) as stream, SpooledTemporaryFile(_IN_MEMORY) as kept:
            sieve = Sieve(kept if version.is_latest else None, self._record.mentions)
            without(stream, sieve)
            if sieve.n_removed and version.is_latest:
                self._replace(version.key, kept)
                self._done.rows[version.key] = sieve.n_removed
            if sieve.n_removed and version.version_id != _UNVERSIONED:
                self._delete(version)
            if sieve.is_mentioned and (version.is_latest or not sieve.n_removed):
                self._done.left[version.key] = _MENTIONED
            return sieve.n_removed
        return 0  # it cannot be read

    def _clear_batch(self, job: str, versions: list[_Version]) -> None:
        """Take the record out of a job that has ended; say where one that runs holds it."""
        name, by_key = self._spec.name, defaultdict[str, list[_Version]](list)
        for version in versions:
            by_key[version.key].append(version)
        outcome = batch_key(name, job, OUTCOME)
        own = self._own_parts(job, by_key)
        if outcome in by_key:
            for number in own:
                self._clear_part(job, number, by_key)
            self._clear_outcome(outcome, batch_key(name, job, REPORT_HTML), by_key)
        else:
            self._done.left |= {part_key(name, job, "input", n): _RUNNING for n in own}
        for version in self._versions(batch_key(name, job, "")):
            self._look_at(version, _MENTIONED)

    def _own_parts(self, job: str, by_key: _ByKey) -> list[int]:
        """Return the numbers of the parts whose input holds the record."""
        plan, own = batch_key(self._spec.name, job, PLAN), list[int]()
        layout: FileLayout | None = None
        n_parts = 0
        for version in by_key.get(plan, ()):
            with self._opened(version) as stream:
                found = from_bytes(BatchPlan, stream.read())
                layout, n_parts = found.layout, len(found.parts)
        if layout is None:  # the file was refused, or the job has only begun
            return own
        for number in range(n_parts):
            for version in by_key.get(part_key(self._spec.name, job, "input", number), ()):
                with self._opened(version) as stream:
                    if self._record.is_in_part(stream.read(), layout):
                        own.append(number)
        return list(dict.fromkeys(own))

    def _clear_part(self, job: str, number: int, by_key: _ByKey) -> None:
        summary = part_key(self._spec.name, job, "summary", number)
        for version in by_key.get(summary, ()):
            self._rewrite(version, self._record.without_head_rows)
        for kind in ("answers", "refused", "input"):  # the input last: it tells which part it is
            key = part_key(self._spec.name, job, kind, number)
            if versions := by_key.get(key):
                self._done.deleted.append(key)
                for version in versions:
                    self._delete(version)

    def _clear_outcome(self, outcome: str, page: str, by_key: _ByKey) -> None:
        """Take the record out of the first rows that a batch shows, and draw its page again."""
        n_removed = 0
        for version in by_key[outcome]:
            n_removed += self._rewrite(version, self._record.without_head_rows)
        for version in by_key.get(page, ()):
            with self._opened(version) as stream:
                if not n_removed and not self._record.is_in_page(stream.read()):
                    continue
                if version.is_latest:
                    body = render(from_bytes(BatchOutcome, self._store.get(outcome)))
                    self._store.put(page, body)
                    self._done.rows[page] = max(1, n_removed)
                if version.version_id != _UNVERSIONED:
                    self._delete(version)

    def _look_at(self, version: _Version, why: str) -> None:
        """Say that an object holds the record, or an earlier version of it does."""
        if version.key in self._done.left:
            return
        with self._opened(version) as stream:
            if self._record.is_in_file(version.key, stream):
                note = "" if version.is_latest else "; an earlier version, kept for 30 days"
                self._done.left[version.key] = why + note

    @contextmanager
    def _opened(self, version: _Version) -> Iterator[BinaryIO]:
        """Yield what a version holds, unpacked; what cannot be read is noted and passed over."""
        self._show_life(version.key)
        try:
            with self._store.open(version.key, version.version_id) as stream:
                yield _unpacked(version.key, stream)
        except _UNREADABLE as error:
            self._done.unread[version.key] = f"{type(error).__name__}: {error}"[:200]

    def _replace(self, key: str, kept: IO[bytes]) -> None:
        with self._store.open(key) as stream:
            is_packed = stream.read(2) == _GZIP
        kept.seek(0)
        with SpooledTemporaryFile(_IN_MEMORY) as packed:
            if is_packed:
                with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as archive:
                    copyfileobj(kept, archive)
                packed.seek(0)
            self._store.put_stream(key, cast(BinaryIO, packed if is_packed else kept))

    def _delete(self, version: _Version) -> None:
        self._client.delete_object(
            Bucket=self._bucket, Key=version.key, VersionId=version.version_id
        )

    def _versions(self, prefix: str) -> list[_Version]:
        """Return all versions under a prefix, by key, the newest of a key first."""
        pages = self._client.get_paginator("list_object_versions")
        return [
            _Version(found["Key"], found["VersionId"], found["IsLatest"])
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix)
            for found in page.get("Versions", ())
        ]

    def _show_life(self, key: str) -> None:
        self._n_read += 1
        now = time.monotonic()
        if not self._quiet and now - self._said_at >= _SIGN_OF_LIFE_SECONDS:
            self._said_at = now
            console.print(f"{self._n_read} objects read; at {key}", style="dim", markup=False)


def _unpacked(key: str, stream: BinaryIO) -> BinaryIO:
    """Return a stream of what an object holds: of an archive its content; of Parquet seekable."""
    if key.endswith(PARQUET):
        whole = TemporaryFile()  # noqa: SIM115 - ends with its reader
        copyfileobj(stream, whole)
        whole.seek(0)
        return cast(BinaryIO, whole)
    is_packed = cast(BufferedReader, stream).peek(2)[:2] == _GZIP
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if is_packed else stream
