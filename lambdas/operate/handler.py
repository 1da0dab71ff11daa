"""Answer the API's routes that start machines and move champions."""

from functools import lru_cache

from noria_aws.aws.settings import cors_origins
from noria_aws.handlers.http_api import http_handler
from noria_aws.handlers.operations import deployed_limits, deployed_operations

operations = lru_cache(maxsize=1)(deployed_operations)
limits = lru_cache(maxsize=1)(deployed_limits)

lambda_handler = http_handler(operations, limits, cors_origins)
