"""Take back a champion that is worse than the one before."""

from noria.steps.end_probation import EndProbationRequest, EndProbationResult, end_probation
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(EndProbationRequest)
def lambda_handler(request: EndProbationRequest) -> EndProbationResult:
    """Run the step on the data bucket and the alias table."""
    services = bootstrap()
    return end_probation(
        request, artifacts=services.artifacts, aliases=services.aliases, clock=services.clock
    )
