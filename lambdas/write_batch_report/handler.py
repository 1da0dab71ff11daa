"""Write the page of a batch."""

from noria.steps.write_batch_report import (
    WriteBatchReportRequest,
    WriteBatchReportResult,
    write_batch_report,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(WriteBatchReportRequest)
def lambda_handler(request: WriteBatchReportRequest) -> WriteBatchReportResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return write_batch_report(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
    )
