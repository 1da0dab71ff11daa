"""Prove in the serving runtime that the challenger's bundle answers as training did."""

from noria.steps.verify_bundle import (
    VerifyBundleRequest,
    VerifyBundleResult,
    verify_bundle,
)
from noria_aws.runtime import step_handler
from noria_aws.serving_adapters import HttpArtifacts
from noria_aws.settings import DATA_BUCKET, aws_context, setting


@step_handler(VerifyBundleRequest)
def lambda_handler(request: VerifyBundleRequest) -> VerifyBundleResult:
    """Run the step with the adapters and the runtime that predict has."""
    return verify_bundle(request, artifacts=HttpArtifacts(setting(DATA_BUCKET), aws_context))
