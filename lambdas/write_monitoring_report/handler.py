"""Write a check's report."""

from noria.steps.write_monitoring_report import (
    WriteMonitoringReportRequest,
    WriteMonitoringReportResult,
    write_monitoring_report,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(WriteMonitoringReportRequest)
def lambda_handler(request: WriteMonitoringReportRequest) -> WriteMonitoringReportResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return write_monitoring_report(
        request,
        store=services.artifacts,
        spec=services.spec(request.project),
    )
