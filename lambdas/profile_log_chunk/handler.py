"""Profile one chunk of the prediction log."""

from noria.steps.profile_log_chunk import (
    ProfileLogChunkRequest,
    ProfileLogChunkResult,
    profile_log_chunk,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(ProfileLogChunkRequest)
def lambda_handler(request: ProfileLogChunkRequest) -> ProfileLogChunkResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return profile_log_chunk(
        request,
        artifacts=services.artifacts,
    )
