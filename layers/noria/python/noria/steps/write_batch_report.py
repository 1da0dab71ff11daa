"""Write the page of a batch: what was answered, what was refused and why, what it is worth."""

from dataclasses import dataclass

from noria.ports import ArtifactStore
from noria.reporting.batch_report import write_page
from noria.spec.model import ProjectSpec


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
    return WriteBatchReportResult(write_page(artifacts, spec.name, request.job_id))
