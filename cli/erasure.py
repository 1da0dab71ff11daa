"""`noria erase`: remove one record from the prediction log, labels and results of batches."""

import base64
import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import typer

from cli.display import console, table
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import Target
from infra.config import LOCAL_STAGE as LOCAL
from infra.config import SPECS
from noria.spec.loader import load_spec
from noria.storage.hashing import canonical_json
from noria.storage.ids import hashed_record_id
from noria.storage.keys import OUTCOME, REFUSED_SUFFIX, batch_inbox_prefix, inbox_prefix

Line = dict[str, Any]
_SIGN_OF_LIFE = 200  # objects read between two of them
UNREACHED = (
    "model versions, reference profiles, profiles of the log and reports: what was learned or "
    "counted of many rows together; train again without the record for models that never saw it",
    "records that have not left the log's buffer yet: run this again in ten minutes",
    "texts that people were sent, files that were downloaded, and backups outside the bucket",
)


@dataclass
class Erased:
    """What was done, and what was seen and left."""

    rows: dict[str, int] = field(default_factory=dict)  # key: rows removed
    deleted: list[str] = field(default_factory=list)  # working files and pages that held the record
    left: list[str] = field(default_factory=list)  # files of people, and rows that models learned


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
    the record back.
    """
    with told():
        target = Target(stage)
        checked(project)
        if not record_id.strip():
            raise ValueError("--record-id is empty")
        if not yes and not as_json:
            typer.confirm(
                f"Remove this record from {project} on stage {stage} for good?", abort=True
            )
        eraser = Eraser(target, project, record_id, quiet=as_json)
        done = eraser.run()
        data = {"project": project, "rows": done.rows, "deleted": done.deleted}
        data |= {"left": done.left, "not_reached": list(UNREACHED)}
        show(as_json, data, lambda: _table(done))
        if not as_json:
            console.print("not reached:")
            for text in UNREACHED:
                console.print(f"  {text}", markup=False)


def _table(done: Erased) -> Any:
    rows = [(key, f"{n} row(s) removed") for key, n in done.rows.items()]
    rows += [(key, "deleted") for key in done.deleted]
    rows += [
        (key, "holds the id; left: it is yours, or a model has learned it") for key in done.left
    ]
    return table("Where the record was", ("object", ""), rows or [("nowhere", "-")])


class Eraser:
    """Looks through a project's objects and takes one record out."""

    def __init__(self, target: Target, project: str, record_id: str, *, quiet: bool) -> None:
        self._store, self._client = target.artifacts, target.client("s3")
        self._bucket = target.outputs["DataBucket"]
        self._project, self._quiet = project, quiet
        columns = load_spec(SPECS / f"{project}.toml").id_columns
        self._record = Record(record_id, columns, hashed_record_id(project, record_id))
        self._done, self._n_read = Erased(), 0

    def run(self) -> Erased:
        """Return what was done; the log comes first, because it tells the predictions' ids."""
        name, record = self._project, self._record
        self._rewrite(f"predictions/{name}/", record.without_log_lines)
        self._rewrite(f"predictions-failed/{name}/", record.without_failed_lines)
        self._rewrite(f"answers/{name}/", record.without_log_lines)
        self._rewrite(f"labels/{name}/", record.without_labels)
        self._rewrite(f"batch-results/{name}/", record.without_results)
        self._clear_batches(f"batches/{name}/")
        for prefix in (
            inbox_prefix(name), batch_inbox_prefix(name), f"datasets/{name}/",
            f"quarantine/{name}/", f"runs/{name}/", f"analyses/{name}/",
        ):  # fmt: skip
            self._done.left += [key for key, body in self._bodies(prefix) if record.is_in(body)]
        return self._done

    def _rewrite(self, prefix: str, without: Callable[[str, bytes], tuple[bytes, int]]) -> None:
        for key, body in self._bodies(prefix):
            kept, n_removed = without(key, body)
            if n_removed:
                self._replace(key, kept, n_removed)
        self._forget_older(prefix, lambda key, body: without(key, body)[1] > 0)

    def _clear_batches(self, prefix: str) -> None:
        """Take the record out of outcomes; delete pages and working files of ended jobs."""
        for key, body in self._bodies(prefix):
            if not self._record.is_in(body):
                continue
            job = key.split("/")[2]
            if key.endswith(f"/{OUTCOME}"):
                kept, n_removed = self._record.without_head_rows(body)
                if n_removed:
                    self._replace(key, kept, n_removed)
            elif self._store.exists(f"{prefix}{job}/{OUTCOME}"):
                self._client.delete_object(Bucket=self._bucket, Key=key)
                self._done.deleted.append(key)
            else:
                self._done.left.append(key)
        self._forget_older(prefix, lambda _, body: self._record.is_in(body))

    def _bodies(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        for found in [*self._store.under(prefix)]:
            self._show_life(found.key)
            with suppress(KeyError):  # its retention ended meanwhile
                yield found.key, _unpacked(self._store.get(found.key))

    def _show_life(self, key: str) -> None:
        self._n_read += 1
        if self._n_read % _SIGN_OF_LIFE == 0 and not self._quiet:
            console.print(f"{self._n_read} objects read; at {key}", style="dim")

    def _replace(self, key: str, body: bytes, n_removed: int) -> None:
        with self._store.open(key) as stream:
            is_packed = stream.read(2) == _GZIP
        self._store.put(key, gzip.compress(body, mtime=0) if is_packed else body)
        self._done.rows[key] = n_removed

    def _forget_older(self, prefix: str, holds: Callable[[str, bytes], bool]) -> None:
        """Delete the earlier versions that hold the record, which the bucket keeps for a time.

        Those of an earlier run that was cut off too, and of objects that are deleted.
        """
        at: dict[str, Any] = {"Bucket": self._bucket}
        pages = self._client.get_paginator("list_object_versions")
        for page in pages.paginate(**at, Prefix=prefix):
            for version in page.get("Versions", ()):
                if version["IsLatest"]:
                    continue
                at_version = {**at, "Key": version["Key"], "VersionId": version["VersionId"]}
                self._show_life(version["Key"])
                with suppress(self._client.exceptions.NoSuchKey):
                    body = self._client.get_object(**at_version)["Body"].read()
                    if holds(version["Key"], _unpacked(body)):
                        self._client.delete_object(**at_version)


_GZIP = b"\x1f\x8b"


def _unpacked(body: bytes) -> bytes:
    return gzip.decompress(body) if body[:2] == _GZIP else body


class Record:
    """One record by its id, and how to take it out of each kind of file."""

    def __init__(self, record_id: str, id_columns: list[str], hashed: str = "") -> None:
        """`hashed` is what the log holds where record ids are personal."""
        self._id, self._logged_ids = record_id, {record_id, hashed} - {""}
        self._columns = [*id_columns, *(f"id_{name}" for name in id_columns)]
        self._word = re.compile(rf"(?<![\w-]){re.escape(record_id)}(?![\w-])".encode())
        self._predictions: set[str] = set()

    def is_in(self, body: bytes) -> bool:
        """Return whether the id stands in a file, as a word."""
        return bool(self._word.search(body))

    def without_log_lines(self, _: str, body: bytes) -> tuple[bytes, int]:
        """Return the lines of other records, and how many were taken out."""
        return _filtered(body, self._is_logged)

    def without_failed_lines(self, _: str, body: bytes) -> tuple[bytes, int]:
        """Return Firehose's lines of other records: each holds a line of the log in base 64."""

        def is_it(line: Line) -> bool:
            raw = base64.b64decode(line.get("rawData", ""))
            return any(self._is_logged(json.loads(part)) for part in raw.splitlines() if part)

        return _filtered(body, is_it)

    def without_labels(self, _: str, body: bytes) -> tuple[bytes, int]:
        """Return the other labels of a request."""
        document = json.loads(body)
        kept = [label for label in document["labels"] if not self._is_logged(label)]
        n_removed = len(document["labels"]) - len(kept)
        return canonical_json({**document, "labels": kept}), n_removed

    def without_results(self, key: str, body: bytes) -> tuple[bytes, int]:
        """Return the rows of other records of a result file, in its format."""
        if key.endswith(REFUSED_SUFFIX):
            return _filtered(body, lambda line: self._has_id(line["cells"]))
        name = key.removesuffix(".gz")
        if name.endswith(".jsonl"):
            return _filtered(body, self._has_id)
        if name.endswith(".parquet"):
            return self._without_in_parquet(body)
        if name.endswith(".csv"):
            return self._without_in_csv(body)
        return body, 0

    def without_head_rows(self, body: bytes) -> tuple[bytes, int]:
        """Return a batch's outcome without the record among its first rows."""
        outcome = json.loads(body)
        head = (outcome.get("counts") or {}).get("head") or []
        kept = [row for row in head if not self._has_id(row)]
        if len(kept) < len(head):
            outcome["counts"]["head"] = kept
        return canonical_json(outcome), len(head) - len(kept)

    def _is_logged(self, line: Line) -> bool:
        is_it = (
            line.get("record_id") in self._logged_ids
            or line.get("prediction_id") in self._predictions
        )
        if is_it and "prediction_id" in line:
            self._predictions.add(line["prediction_id"])
        return is_it

    def _has_id(self, cells: Line) -> bool:
        return any(str(cells.get(name)) == self._id for name in self._columns)

    def _without_in_csv(self, body: bytes) -> tuple[bytes, int]:
        rows = csv.reader(io.StringIO(body.decode("utf-8"), newline=""))
        header = next(rows, [])
        places = [place for place, name in enumerate(header) if name in self._columns]
        shown = {self._id, f"'{self._id}"}  # as a result escapes what a spreadsheet would run
        text, n_removed = io.StringIO(newline=""), 0
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            if any(row[place] in shown for place in places if place < len(row)):
                n_removed += 1
            else:
                writer.writerow(row)
        return text.getvalue().encode(), n_removed

    def _without_in_parquet(self, body: bytes) -> tuple[bytes, int]:
        found = pyarrow.parquet.read_table(io.BytesIO(body))
        is_it = pa.array([False] * len(found))
        for name in set(self._columns).intersection(found.column_names):
            equal = pc.equal(found[name].cast(pa.string()), self._id)
            is_it = pc.or_(is_it, pc.fill_null(equal.combine_chunks(), False))
        out = io.BytesIO()
        pyarrow.parquet.write_table(found.filter(pc.invert(is_it)), out)
        return out.getvalue(), pc.sum(is_it).as_py() or 0


def _filtered(body: bytes, is_it: Callable[[Line], bool]) -> tuple[bytes, int]:
    kept, n_removed = [], 0
    for line in body.splitlines(keepends=True):
        try:
            is_of_record = is_it(json.loads(line))
        except (ValueError, AttributeError, KeyError, TypeError):
            is_of_record = False  # no line of Noria's
        n_removed += is_of_record
        if not is_of_record:
            kept.append(line)
    return b"".join(kept), n_removed
