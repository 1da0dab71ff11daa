"""Read a file of labels: file the good ones, keep the others with their reasons."""

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from noria.batch.files import RowsFile, opened_rows
from noria.batch.reading import Records, read_part
from noria.data.labels import ID_COLUMN, ID_KINDS, put_labels, read_given_label
from noria.data.targets import TargetReader
from noria.errors import DatasetSchemaError, NoChampionError
from noria.inference.loading import load_model_version
from noria.inference.predictor import Predictor
from noria.ports import Clock, ModelAliases, SearchableStore
from noria.records.codec import to_bytes
from noria.records.labels import LabelsEnd, LabelsReport
from noria.records.prediction import Row
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import QUARANTINE_REPORT, QUARANTINED, labels_file_key

LABEL = "label"
_FILED_AT_ONCE = 20_000  # labels in one object
_N_REASONS = 20


@dataclass(frozen=True)
class FileLabelsRequest:
    """Which file."""

    project: str
    source_key: str


@dataclass(frozen=True)
class FileLabelsResult:
    """What became of it; in full in the report."""

    outcome: LabelsEnd
    summary: str
    n_labels: int
    n_refused: int
    report_key: str


def file_labels(
    request: FileLabelsRequest,
    *,
    spec: ProjectSpec,
    artifacts: SearchableStore,
    aliases: ModelAliases,
    clock: Clock,
) -> FileLabelsResult:
    """File the labels of a file, to be joined with the answers they belong to.

    A row has a `prediction_id`, a `record_id` or one of the spec's id columns, and a `label` or
    the target. Labels are read as the champion's training read them. Rows without a label yet are
    passed over. Rows that cannot be filed are kept with their reasons; the same file again files
    the same labels.
    """
    key, now = request.source_key, clock.now()
    found = _Found()
    fault: str | None = None
    try:
        champion = aliases.read(spec.name).require_champion()
        predictor = load_model_version(artifacts, spec.name, champion)
        if not key.endswith("/"):  # what the console calls a folder holds nothing
            _Filing(spec, artifacts, found, now).file(key, predictor)
    except (DatasetSchemaError, NoChampionError) as error:
        fault = error.message
    except KeyError:
        fault = f"{key}: there is no such file in the data bucket"
    refused_key = None
    if found.refused:
        refused_key = labels_file_key(spec.name, key, QUARANTINED)
        artifacts.put(refused_key, gzip.compress(b"".join(found.refused), mtime=0))
    outcome, summary = _said(found, fault)
    report = LabelsReport(
        project=spec.name,
        source_key=key,
        at=now.isoformat(),
        outcome=outcome,
        summary=summary,
        n_labels=found.n_labels,
        n_refused=len(found.refused),
        n_unlabelled=found.n_unlabelled,
        reasons=dict(found.reasons.most_common(_N_REASONS)),
        refused_key=refused_key,
    )
    report_key = labels_file_key(spec.name, key, QUARANTINE_REPORT)
    artifacts.put(report_key, to_bytes(report))
    return FileLabelsResult(outcome, summary, found.n_labels, len(found.refused), report_key)


@dataclass
class _Found:
    """What a file has given so far."""

    n_labels: int = 0
    n_unlabelled: int = 0
    refused: list[bytes] = field(default_factory=list)  # lines of JSON
    reasons: Counter[str] = field(default_factory=Counter)

    def refuse(self, line: int, fault: tuple[str, str], cells: Any) -> None:
        """Keep a row that cannot be filed, with the field and the reason."""
        name, reason = fault
        self.reasons[f"{name}: {reason}"] += 1
        entry = {"line": line, "errors": [{"field": name, "reason": reason}], "cells": cells}
        self.refused.append(canonical_json(entry) + b"\n")


def _said(found: _Found, fault: str | None) -> tuple[LabelsEnd, str]:
    """Return how a file ended, and what people are told; no cell is quoted."""
    text = f"{found.n_labels:,} labels filed, {len(found.refused):,} rows refused"
    if found.n_unlabelled:
        text += f", {found.n_unlabelled:,} without a label yet"
    if found.refused:
        text += f" (mostly: {found.reasons.most_common(1)[0][0]})"
    if fault:
        filed = f"; {text}" if found.n_labels else ""
        return "LabelsRejected", f"{fault}{filed}"
    if not found.n_labels and found.refused:
        return "LabelsRejected", text
    return ("LabelsRefused" if found.refused else "LabelsFiled"), text


class _Filing:
    """Files the labels of one file."""

    def __init__(
        self, spec: ProjectSpec, artifacts: SearchableStore, found: _Found, now: datetime
    ) -> None:
        self._spec, self._artifacts, self._found, self._now = spec, artifacts, found, now
        target = spec.target
        self._labels = list(dict.fromkeys((LABEL, target.column, *target.aliases)))
        self._ids = list(dict.fromkeys((*ID_KINDS, *spec.id_columns)))

    def file(self, key: str, predictor: Predictor) -> None:
        """File the labels of the rows, as of the file's upload.

        Handled again later, a file must not outrank labels that came after it.
        """
        found = (file.modified_at for file in self._artifacts.under(key) if file.key == key)
        uploaded_at, name = next(found, self._now), key.rpartition("/")[2]
        with opened_rows(lambda: self._artifacts.open(key), name, self._spec) as rows:
            for labels in self._read(rows, predictor.target):
                put_labels(
                    self._artifacts,
                    self._spec.name,
                    labels,
                    uploaded_at,
                    hashes_ids="record_id" in predictor.private,
                )
                self._found.n_labels += len(labels)

    def _read(self, file: RowsFile, reader: TargetReader) -> Iterator[list[Row]]:
        """Yield the labels of a file, some thousand at a time."""
        if not file.layout.is_json:
            self._require(file, self._labels, "the label")
            self._require(file, self._ids, "what it is the label of")
        ready = list[Row]()
        for part in file.parts():
            records = read_part(part, file.layout, [*self._labels, *self._ids])
            for bad in records.bad:
                self._found.refuse(bad.line, ("(record)", bad.reason), bad.cells)
            for line, row in _rows(records):
                given, column = self._given(row)
                if reader.read(given[LABEL]) == (None, None):
                    self._found.n_unlabelled += 1
                    continue
                label, reason = read_given_label(given, reader, self._now)
                if reason:
                    self._found.refuse(line, ("(row)", reason), row)
                else:
                    ready.append({**given, LABEL: label, **column})
            while len(ready) >= _FILED_AT_ONCE:
                yield ready[:_FILED_AT_ONCE]
                del ready[:_FILED_AT_ONCE]
        if ready:
            yield ready

    def _require(self, file: RowsFile, names: Sequence[str], what: str) -> None:
        if set(names).isdisjoint(file.layout.header):
            raise DatasetSchemaError(
                f"{file.name}: no column for {what}; it may be called: {', '.join(names)}",
                file=file.name,
            )

    def _given(self, row: Mapping[str, str]) -> tuple[Row, Row]:
        """Return a row as the API takes labels, and the id column that it names.

        What cannot be read is left out.
        """
        label = next((row[name] for name in self._labels if name in row), None)
        name = next((name for name in self._ids if row.get(name)), None)
        if name is None:
            return {LABEL: label}, {}
        if name in ID_KINDS:
            return {name: row[name], LABEL: label}, {}
        return {"record_id": row[name], LABEL: label}, {ID_COLUMN: name}


def _rows(records: Records) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells) of the readable records, without the cells that are not there."""
    names = list(records.cells)
    columns = [records.cells[name].to_pylist() for name in names]
    for line, *cells in zip(records.lines.tolist(), *columns, strict=True):
        row = zip(names, cells, strict=True)
        yield line, {name: cell for name, cell in row if cell is not None}
