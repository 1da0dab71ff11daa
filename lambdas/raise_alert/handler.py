"""Tell people once."""

from noria.steps.raise_alert import RaiseAlertRequest, RaiseAlertResult, raise_alert
from noria_aws.handlers.bootstrap import bootstrap
from noria_aws.handlers.runtime import step_handler


@step_handler(RaiseAlertRequest)
def lambda_handler(request: RaiseAlertRequest) -> RaiseAlertResult:
    """Run the step on the deployment."""
    services = bootstrap()
    return raise_alert(
        request,
        spec=services.spec(request.project),
        claims=services.claims,
        topic=services.alert_topic,
        clock=services.clock,
    )
