"""Write the page of a batch: what was answered, what was refused and why, what it is worth."""

from contextlib import suppress
from dataclasses import dataclass

from noria.ports import ArtifactStore
from noria.records.batch import BatchOutcome
from noria.records.codec import from_bytes
from noria.records.drift import DriftReport
from noria.reporting.batch_report import render
from noria.spec.model import ProjectSpec
from noria.storage.keys import OUTCOME, REPORT_HTML, batch_key


@dataclass(frozen=True)
class WriteBatchReportRequest:
    """Which job."""

    project: str
    job_id: str


@dataclass(frozen=True)
class WriteBatchReportResult:
    """Where the page is."""

    report_key: str


def write_batch_report(
    request: WriteBatchReportRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> WriteBatchReportResult:
    """Draw `outcome.json` of a closed job, and what its check found, as one HTML file beside it."""
    outcome = from_bytes(BatchOutcome, artifacts.get(batch_key(spec.name, request.job_id, OUTCOME)))
    drift = None
    with suppress(KeyError):  # it expires before the results, and a page may be drawn again
        if outcome.drift_key:
            drift = from_bytes(DriftReport, artifacts.get(outcome.drift_key))
    key = batch_key(spec.name, request.job_id, REPORT_HTML)
    artifacts.put(key, render(outcome, drift))
    return WriteBatchReportResult(key)
