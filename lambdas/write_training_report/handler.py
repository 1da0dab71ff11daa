"""Write a run's report as HTML and JSON, and to the tracking server if there is one."""

from noria.steps.write_training_report import (
    WriteTrainingReportRequest,
    WriteTrainingReportResult,
    write_training_report,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(WriteTrainingReportRequest)
def lambda_handler(request: WriteTrainingReportRequest) -> WriteTrainingReportResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    return write_training_report(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        sink=services.metric_sink(),
    )
