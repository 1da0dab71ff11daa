"""Rows beside what a model version was trained on: here, or as a Spark job."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet

from cli.display import console, table
from cli.target import Target
from cli.training import follow_execution, new_run_id
from noria.analysis.rows import (
    ANALYZED_WITH,
    RowsAnalyzer,
    compared,
    kept_columns,
    read_cells,
    recognised,
)
from noria.batch.files import RowsFile, opened_rows
from noria.monitoring.lineage import training_files
from noria.records.codec import from_bytes
from noria.records.drift import AnalysisReport, ColumnFinding, WrittenFeatures
from noria.registry.versions import read_files
from noria.reporting.words import differs_text
from noria.spec.model import ProjectSpec
from noria.steps.raise_alert import RaiseAlertRequest, raise_alert
from noria.storage.keys import DRIFT, REPORT_HTML, analysis_key, is_upload_of
from noria_aws.aws.clock import SystemClock

S3 = "s3://"
_NOTHING = "-"  # no features, as the job knows it
_FEATURES = "features"
_MAX_SHOWN = 10  # columns


class Analysis:
    """One analysis with one model version."""

    def __init__(self, target: Target, spec: ProjectSpec, version: str, *, features: bool) -> None:
        self._target, self._spec, self._version = target, spec, version
        self._has_features = features
        self.analysis_id = new_run_id()

    def here(self, rows: list[str], folder: Path) -> AnalysisReport:
        """Read the files on this machine."""
        files = read_files(self._target.artifacts, self._spec.name, self._version, ANALYZED_WITH)
        analyzer = RowsAnalyzer(files)
        total, written = analyzer.empty(), _FeatureFile(folder / f"{_FEATURES}.parquet")
        kept = kept_columns(self._spec)
        with console.status("reading"):
            for file in self._files(rows):
                for cells, n_rows, faults in read_cells(file, analyzer.predictor.columns, kept):
                    total.add(analyzer.profile(cells, n_rows, faults))
                    if self._has_features:
                        written.add(analyzer.features(cells, n_rows, kept))
        report = compared(self._spec, analyzer.reference, total, self._version)
        report = recognised(report, tuple(self.trained_on(rows)))
        return replace(report, rows=_named(rows), features=written.closed())

    def trained_on(self, rows: list[str]) -> Iterator[str]:
        """Yield the files, here or at an address, whose content the model was trained on."""
        known = training_files(self._target.artifacts, self._spec.name, self._version)
        place = f"{S3}{self._target.outputs['DataBucket']}/"
        for name in rows:
            if name.startswith(S3):
                yield from (key for key in known if f"{place}{key}".startswith(name))
                continue
            with Path(name).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if any(is_upload_of(key, digest) for key in known):
                yield name

    def on_spark(self, rows: str, workers: int) -> AnalysisReport:
        """Run the job over an address."""
        bucket = self._target.outputs["DataBucket"]
        features = f"{S3}{bucket}/{self._key(_FEATURES)}"
        message = {
            "project": self._spec.name,
            "model_version": self._version,
            "analysis_id": self.analysis_id,
            "rows": rows,
            "features_to": features if self._has_features else _NOTHING,
            "workers": workers,
        }
        with console.status(f"analysis {self.analysis_id}: the job runs"):
            end = follow_execution(
                self._target, "AnalysisStateMachine", self.analysis_id, message, lambda *_: None
            )
        if end.status != "SUCCEEDED":
            raise RuntimeError(f"analysis {self.analysis_id} {end.status}: {_reason(end.output)}")
        report = from_bytes(AnalysisReport, self._target.artifacts.get(self._key(DRIFT)))
        if report.verdict == "rejected":
            raise ValueError(f"{rows}: {report.reason}")
        written = report.features and replace(report.features, at=features)
        return replace(report, rows=rows, features=written)

    def tell(self, report: AnalysisReport, page: bytes) -> None:
        """Raise the alert that a batch of such rows would raise, with the page of the analysis."""
        self._target.artifacts.put(self._key(REPORT_HTML), page)
        raise_alert(
            RaiseAlertRequest(
                project=self._spec.name,
                event="BatchDrifted",
                summary=f"{report.n_rows:,} rows: {differs_text(report.drifted)}",
                occurrence=self.analysis_id,
                report_key=self._key(REPORT_HTML),
            ),
            spec=self._spec,
            claims=self._target.claims,
            topic=self._target.alert_topic,
            clock=SystemClock(),
        )

    def uploaded(self, rows: list[str]) -> str:
        """Put the files where the job reads them; return the address."""
        client, bucket = self._target.client("s3"), self._target.outputs["DataBucket"]
        for number, path in enumerate(rows):  # two folders may have files of one name
            client.upload_file(path, bucket, self._key(f"rows/{number:04}-{Path(path).name}"))
        return f"{S3}{bucket}/{self._key('rows/')}"

    def _key(self, name: str) -> str:
        return analysis_key(self._spec.name, self.analysis_id, name)

    def _files(self, rows: list[str]) -> Iterator[RowsFile]:
        for name in rows:
            path = Path(name)
            with opened_rows(partial(_opened, path), path.name, self._spec) as file:
                yield file


class _FeatureFile:
    """A Parquet file that is there once something is in it."""

    def __init__(self, path: Path) -> None:
        self._path, self._n_rows = path, 0
        self._writer: pyarrow.parquet.ParquetWriter | None = None

    def add(self, rows: pa.RecordBatch) -> None:
        """Write rows."""
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pyarrow.parquet.ParquetWriter(self._path, rows.schema)
        self._writer.write_batch(rows)
        self._n_rows += rows.num_rows

    def closed(self) -> WrittenFeatures | None:
        """Return where the rows are and how many."""
        if self._writer is None:
            return None
        self._writer.close()
        return WrittenFeatures(self._n_rows, str(self._path))


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def require_files(rows: list[str]) -> None:
    """Raise ValueError where a file is not there."""
    if absent := [name for name in rows if not Path(name).is_file()]:
        raise ValueError(f"no such file: {', '.join(absent)}")


def _reason(output: dict[str, Any]) -> str:
    """Return what a failed job says, of all that Step Functions tells about it."""
    cause = str(output["cause"])
    with suppress(ValueError, KeyError, TypeError):
        cause = json.loads(cause)["ErrorMessage"]
    return cause


def _named(rows: list[str]) -> str:
    return ", ".join(rows) if len(rows) <= 3 else f"{rows[0]} and {len(rows) - 1} other files"


def summary_table(report: AnalysisReport) -> Any:
    """Return what was found as a table for people."""
    # The surest first; one line a column, the page has all.
    surest: dict[str, ColumnFinding] = {}
    for found in report.findings:
        if found.threshold is not None:
            surest.setdefault(found.column, found)
    shown = [
        (f.column, f.statistic, f"{f.effect:.3f}", f"{f.threshold:g}", f.detail,
         "yes" if f.is_drifted else "")
        for f in list(surest.values())[:_MAX_SHOWN]
    ]  # fmt: skip
    title = (
        f"{report.project}: {report.verdict}; {report.n_rows:,} rows beside what "
        f"{report.model_version} was trained on, {report.n_refused:,} refused"
    )
    if report.trained_on:
        title += f"; the model was trained on {', '.join(report.trained_on)}: answers not compared"
    columns = ("column", "statistic", "effect", "matters from", "then and now", "drifted")
    return table(title, columns, shown)
