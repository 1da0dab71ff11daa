"""Answer the API's routes that start machines and move champions."""

from functools import lru_cache

from noria_aws.aws.settings import admin_key_ids, cors_origins
from noria_aws.handlers.http_api import http_handler
from noria_aws.handlers.operations import deployed_operations

operations = lru_cache(maxsize=1)(deployed_operations)

lambda_handler = http_handler(operations, admin_key_ids, cors_origins)
