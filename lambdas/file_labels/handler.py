"""File the labels of a file."""

from noria.steps.file_labels import FileLabelsRequest, FileLabelsResult, file_labels
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(FileLabelsRequest)
def lambda_handler(request: FileLabelsRequest) -> FileLabelsResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return file_labels(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        aliases=services.aliases,
        clock=services.clock,
    )
