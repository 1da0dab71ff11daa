"""Score one part of a batch."""

from functools import lru_cache

from noria.columnar.models import BatchModels
from noria.steps.score_part import ScorePartRequest, ScorePartResult, score_part
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@lru_cache(maxsize=1)
def _models() -> BatchModels:
    """Return the process's models: loaded once for all parts it scores."""
    return BatchModels(bootstrap().artifacts)


@step_handler(ScorePartRequest)
def lambda_handler(request: ScorePartRequest) -> ScorePartResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return score_part(
        request,
        spec=services.spec(request.project),
        artifacts=services.artifacts,
        models=_models(),
    )
