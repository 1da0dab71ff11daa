"""Write the challenger as an immutable model version with its lineage."""

from noria.steps.register_model_version import (
    RegisterModelVersionRequest,
    RegisterModelVersionResult,
    register_model_version,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import log_event, step_handler


@step_handler(RegisterModelVersionRequest)
def lambda_handler(request: RegisterModelVersionRequest) -> RegisterModelVersionResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    result = register_model_version(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        clock=services.clock,
        packages=services.model_packages(),
    )
    if result.mirror_fault:
        log_event("not_mirrored", model_version=result.model_version, fault=result.mirror_fault)
    return result
