"""Fit the feature view once per fold and once on all training rows."""

from noria.steps.fit_feature_views import (
    FitFeatureViewsRequest,
    FitFeatureViewsResult,
    fit_feature_views,
)
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(FitFeatureViewsRequest)
def lambda_handler(request: FitFeatureViewsRequest) -> FitFeatureViewsResult:
    """Run the step on the data bucket."""
    services = bootstrap()
    return fit_feature_views(
        request, spec=services.spec(request.project), artifacts=services.artifacts
    )
