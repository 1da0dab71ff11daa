"""Prove in the serving runtime that the challenger's bundle answers as training did."""

from noria.steps.verify_bundle import (
    VerifyBundleRequest,
    VerifyBundleResult,
    verify_bundle,
)
from noria_aws.aws.settings import DATA_BUCKET, aws_context, setting
from noria_aws.handlers.runtime import step_handler
from noria_aws.serving.ports import HttpArtifacts


@step_handler(VerifyBundleRequest)
def lambda_handler(request: VerifyBundleRequest) -> VerifyBundleResult:
    """Run the step with the adapters and the runtime that predict has."""
    return verify_bundle(request, artifacts=HttpArtifacts(setting(DATA_BUCKET), aws_context))
