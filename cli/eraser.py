"""Looks through a project's objects and takes one record out, whatever happens meanwhile."""

import csv
import gzip
import json
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import groupby
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, BinaryIO, NamedTuple, cast
from zipfile import BadZipFile

from botocore.exceptions import ClientError
from pyarrow.lib import ArrowException

from cli.display import console
from cli.erased_record import Record
from cli.sieve import Sieve, Without
from cli.target import Target
from noria.data.parsing import long_cells
from noria.errors import DatasetSchemaError, SettingsError
from noria.records.batch import BatchOutcome, BatchPlan, FileLayout
from noria.records.codec import from_bytes
from noria.reporting.batch_report import write_page
from noria.spec.catalog import PARQUET
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    OUTCOME,
    PLAN,
    REPORT_HTML,
    batch_inbox_prefix,
    batch_key,
    batch_schedule_prefix,
    erasure_key,
    inbox_prefix,
    is_filed_rows,
    labels_inbox_prefix,
    part_key,
)
from noria_aws.aws.client_errors import CONDITIONAL

_SIGN_OF_LIFE_SECONDS, _IN_MEMORY, _READERS = 3.0, 32 << 20, 8
_CHANGES = 5  # of an object while it is rewritten; after that somebody else is at work
_GZIP = b"\x1f\x8b"
_UNREADABLE: tuple[type[Exception], ...] = (
    DatasetSchemaError, SettingsError, EOFError, gzip.BadGzipFile, zlib.error, csv.Error,
    ArrowException, ValueError, LookupError, TypeError, AttributeError, RecursionError, BadZipFile,
)  # fmt: skip
_LEARNED = "a dataset version: models have learned it; train again without the row"
_YOURS = "your file: take the row out, and upload it again"
_MENTIONED = "mentions the id outside an id column"
_RUNNING = "the batch has not ended; run this again when it has"


@dataclass
class Erased:
    """What was done, and what was seen and left."""

    rows: dict[str, int] = field(default_factory=dict)  # key: rows removed
    versions: dict[str, int] = field(default_factory=dict)  # key: earlier versions deleted
    deleted: list[str] = field(default_factory=list)  # working files that held the record
    left: dict[str, str] = field(default_factory=dict)  # key: why it is still there
    unread: dict[str, str] = field(default_factory=dict)  # key: why it was not looked into


class _Version(NamedTuple):
    """One version of an object."""

    key: str
    version_id: str
    etag: str
    is_latest: bool


_ByKey = Mapping[str, list[_Version]]


class Eraser:
    """Looks through a project's objects and takes one record out."""

    def __init__(self, target: Target, spec: ProjectSpec, record_id: str, *, quiet: bool) -> None:
        self._store, self._client = target.artifacts, target.client("s3")
        self._bucket, self._spec = target.outputs["DataBucket"], spec
        self._record, self._quiet = Record(record_id, spec), quiet
        self._done, self._n_read, self._said_at = Erased(), 0, time.monotonic()
        versioning = self._client.get_bucket_versioning(Bucket=self._bucket)
        self._is_versioned = versioning.get("Status") == "Enabled"

    def run(self) -> Erased:
        """Return what was done.

        First it learns the ids of the record's answers, which only the log tells, and keeps them
        as long as working files: a run that was cut off may have taken them out of the log, and
        a line or a label that names only the answer may come later.
        """
        with long_cells():  # of the whole process, so that readers do not set it for each other
            self._run()
        return self._done

    def _run(self) -> None:
        name, record = self._spec.name, self._record
        self._learn(erasure_key(name, record.hashed.removeprefix("~")))
        for prefix, without in (
            ("labels/", _always(record.without_labels)),
            ("answers/", lambda key: None if is_filed_rows(key) else record.without_log_lines),
            ("predictions-failed/", _always(record.without_failed_lines)),
            ("predictions/", _always(record.without_log_lines)),
        ):
            self._rewrite_all(f"{prefix}{name}/", without)
        # Jobs first: one that ends meanwhile has written its results before.
        for job, versions in groupby(
            self._versions(f"batches/{name}/"), lambda version: version.key.split("/")[2]
        ):
            self._clear_batch(job, list(versions))
        self._rewrite_all(
            f"answers/{name}/", lambda key: record.without_rows if is_filed_rows(key) else None
        )
        self._rewrite_all(f"batch-results/{name}/", record.without_results)
        for prefix, why in (
            (inbox_prefix(name), _YOURS),
            (batch_inbox_prefix(name), _YOURS),
            (labels_inbox_prefix(name), _YOURS),
            (batch_schedule_prefix(name), _YOURS),
            (f"datasets/{name}/", _LEARNED),
            (f"quarantine/{name}/", "rows that were refused"),
            (f"runs/{name}/", "a training run's working file; expires"),
            (f"analyses/{name}/", "an analysis; expires"),
        ):
            self._look_at(self._versions(prefix), why)

    def _learn(self, note: str) -> None:
        known: set[str] = set()
        with suppress(KeyError):
            known = set(json.loads(self._store.get(note)))
        self._record.predictions |= known
        for prefix in ("predictions/", "predictions-failed/", "answers/"):
            versions = self._versions(f"{prefix}{self._spec.name}/")
            versions = [version for version in versions if not is_filed_rows(version.key)]
            for _ in self._read(versions, lambda v: self._looked(v, self._record.learn, None)):
                pass
        if self._record.predictions > known:
            self._store.put(note, canonical_json(sorted(self._record.predictions)))

    def _read[T](self, versions: list[_Version], look: Callable[[_Version], T]) -> Iterator[T]:
        """Yield what is found in each version, in order; several are read at once."""
        with ThreadPoolExecutor(_READERS) as pool:
            for version, found in zip(versions, pool.map(look, versions), strict=True):
                self._show_life(version.key)
                yield found

    def _rewrite_all(self, prefix: str, rewriter: Callable[[str], Without | None]) -> None:
        def look(version: _Version) -> tuple[str, Without] | None:
            without = rewriter(version.key)
            is_it = without is not None and self._is_in(version, without)
            return (version.key, without) if is_it and without else None

        for key, without in dict(filter(None, self._read(self._versions(prefix), look))).items():
            self._rewrite(key, without)

    def _is_in(self, version: _Version, without: Without) -> bool:
        sieve = Sieve(None, self._record.mentions)
        self._looked(version, lambda stream: without(stream, sieve), None)
        if sieve.is_mentioned and (version.is_latest or not sieve.n_removed):
            self._done.left[version.key] = _MENTIONED
        return sieve.n_removed > 0

    def _rewrite(self, key: str, without: Without) -> int:
        """Take the record out of an object, and delete its earlier versions that hold it.

        Whoever writes the object meanwhile is not overwritten: it is read again.
        """
        n_removed = n_conflicts = 0
        while n_conflicts < _CHANGES:
            versions = self._versions_of(key)
            if versions and versions[0].is_latest:  # else the object is deleted
                n = self._replaced(versions.pop(0), without)
                n_removed, n_conflicts = n_removed + (n or 0), n_conflicts + (n is None)
                if n is None or (n and self._is_versioned):
                    continue  # another version may have come before ours, and is looked at now
            for version in versions:
                if self._is_in(version, without):
                    self._delete(version)
                    self._done.versions[key] = self._done.versions.get(key, 0) + 1
            break
        else:
            self._done.unread[key] = "it is written again and again; run this when that has ended"
        if n_removed:
            self._done.rows[key] = n_removed
        return n_removed

    def _replaced(self, version: _Version, without: Without) -> int | None:
        """Return how many rows were taken out of the latest version; None if it is that no more."""
        with SpooledTemporaryFile(_IN_MEMORY) as kept:
            sieve = Sieve(kept, self._record.mentions)

            def look(stream: BinaryIO) -> bool:
                without(stream, sieve)
                return True

            if not (self._looked(version, look, False) and sieve.n_removed):
                return 0
            with self._packed_as(version, kept) as body:
                try:
                    self._client.put_object(
                        Bucket=self._bucket, Key=version.key, Body=body, IfMatch=version.etag
                    )
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code in {*CONDITIONAL, "NoSuchKey"}:
                        return None
                    if code != "EntityTooLarge":
                        raise
                    self._done.unread[version.key] = "more than the 5 GB that S3 takes at once"
                    return 0
            return sieve.n_removed

    @contextmanager
    def _packed_as(self, version: _Version, kept: IO[bytes]) -> Iterator[IO[bytes]]:
        """Yield what stays of a version, packed as it is packed."""
        with self._store.open(version.key, version.version_id) as stream:
            is_packed = stream.read(2) == _GZIP
        kept.seek(0)
        if not is_packed:
            yield kept
            return
        with SpooledTemporaryFile(_IN_MEMORY) as packed:
            with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as archive:
                copyfileobj(kept, archive)
            packed.seek(0)
            yield packed

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
        self._look_at(self._versions(batch_key(name, job, "")), _MENTIONED)

    def _own_parts(self, job: str, by_key: _ByKey) -> list[int]:
        """Return the numbers of the parts whose input holds the record."""
        name, layout, own = self._spec.name, None, list[int]()
        for version in by_key.get(batch_key(name, job, PLAN), ()):
            layout = self._looked(version, _layout, None)
        prefix = batch_key(name, job, "input/")
        inputs = [v for key in by_key if key.startswith(prefix) for v in by_key[key]]

        def look(version: _Version) -> bool:
            return self._looked(
                version, lambda stream: self._record.is_in_part(stream.read(), layout), False
            )

        for version, is_in in zip(inputs, self._read(inputs, look), strict=True):
            if is_in:
                own.append(int(version.key.removeprefix(prefix)))
        return sorted(set(own))

    def _clear_part(self, job: str, number: int, by_key: _ByKey) -> None:
        summary = part_key(self._spec.name, job, "summary", number)
        if summary in by_key:
            self._rewrite(summary, self._record.without_head_rows)
        # The input last: it tells which part it is.
        for kind in ("answers", "filed", "shadow", "refused", "joined", "input"):
            key = part_key(self._spec.name, job, kind, number)
            if versions := by_key.get(key):
                self._done.deleted.append(key)
                for version in versions:
                    self._delete(version)

    def _clear_outcome(self, outcome: str, page: str, by_key: _ByKey) -> None:
        """Take the record out of the first rows that a batch shows, and draw its page again."""
        n_removed = self._rewrite(outcome, self._record.without_head_rows)
        for version in by_key.get(page, ()):
            if not n_removed and not self._looked(
                version, lambda stream: self._record.is_in_page(stream.read()), False
            ):
                continue
            if version.is_latest:
                job = from_bytes(BatchOutcome, self._store.get(outcome)).job_id
                write_page(self._store, self._spec.name, job)
                self._done.rows[page] = max(1, n_removed)
            if self._is_versioned:
                self._delete(version)

    def _look_at(self, versions: list[_Version], why: str) -> None:
        """Say which objects hold the record, or an earlier version of them does."""

        def look(version: _Version) -> bool:
            return self._looked(
                version, lambda stream: self._record.is_in_file(version.key, stream), False
            )

        for version, is_in in zip(versions, self._read(versions, look), strict=True):
            if is_in:
                note = "" if version.is_latest else "; an earlier version, kept for 30 days"
                self._done.left.setdefault(version.key, why + note)

    def _looked[T](self, version: _Version, look: Callable[[BinaryIO], T], default: T) -> T:
        """Return what is found in a version, unpacked.

        What cannot be read is noted; then, and where it is there no more, the default is returned.
        """
        try:
            with self._store.open(version.key, version.version_id) as stream:
                return look(_unpacked(version.key, stream))
        except KeyError as error:
            if error.args != (version.key,):  # else its retention has ended
                self._done.unread[version.key] = f"KeyError: {error}"
        except _UNREADABLE as error:
            self._done.unread[version.key] = f"{type(error).__name__}: {error}"[:200]
        return default

    def _delete(self, version: _Version) -> None:
        self._client.delete_object(
            Bucket=self._bucket, Key=version.key, VersionId=version.version_id
        )

    def _versions_of(self, key: str) -> list[_Version]:
        return [version for version in self._versions(key) if version.key == key]

    def _versions(self, prefix: str) -> list[_Version]:
        """Return all versions under a prefix, by key, the newest of a key first."""
        pages = self._client.get_paginator("list_object_versions")
        return [
            _Version(found["Key"], found["VersionId"], found["ETag"], found["IsLatest"])
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix)
            for found in page.get("Versions", ())
        ]

    def _show_life(self, key: str) -> None:
        self._n_read += 1
        now = time.monotonic()
        if not self._quiet and now - self._said_at >= _SIGN_OF_LIFE_SECONDS:
            self._said_at = now
            console.print(f"{self._n_read} objects read; at {key}", style="dim", markup=False)


def _layout(stream: BinaryIO) -> FileLayout | None:
    return from_bytes(BatchPlan, stream.read()).layout


def _always(without: Without) -> Callable[[str], Without | None]:
    return lambda _: without


def _unpacked(key: str, stream: BinaryIO) -> BinaryIO:
    """Return a stream of what an object holds: of an archive its content; of Parquet seekable."""
    if key.endswith(PARQUET):
        whole = TemporaryFile()  # noqa: SIM115 - ends with its reader
        copyfileobj(stream, whole)
        whole.seek(0)
        return cast(BinaryIO, whole)
    is_packed = cast(BufferedReader, stream).peek(2)[:2] == _GZIP
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if is_packed else stream
