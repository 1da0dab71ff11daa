"""Cross-validate one candidate, refit it and export its serving bundle."""

from noria.steps.train_candidate import (
    TrainCandidateRequest,
    TrainCandidateResult,
    train_candidate,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(TrainCandidateRequest)
def lambda_handler(request: TrainCandidateRequest) -> TrainCandidateResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    return train_candidate(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        clock=services.clock,
        code=services.code_versions(),
    )
