"""Turn source files into a dataset version, or into a rejection with a report."""

from noria.steps.prepare_dataset import (
    PrepareDatasetRequest,
    PrepareDatasetResult,
    prepare_dataset,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(PrepareDatasetRequest)
def lambda_handler(request: PrepareDatasetRequest) -> PrepareDatasetResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    return prepare_dataset(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        aliases=services.aliases,
    )
