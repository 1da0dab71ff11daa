"""Answer the HTTPS API: predict, batch, model, history, health."""

from functools import lru_cache

from noria_aws.aws.settings import cors_origins
from noria_aws.handlers.http_api import http_handler
from noria_aws.serving.root import Serving, deployed_ports


@lru_cache(maxsize=1)
def serving() -> Serving:
    """Return the operations; models stay loaded between requests."""
    return Serving(deployed_ports())


lambda_handler = http_handler(lambda: serving().operations, lambda: serving().limits, cors_origins)
