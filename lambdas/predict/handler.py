"""Answer the HTTPS API: predict, batch, model, history, health."""

from functools import lru_cache

from noria_aws.http_api import http_handler
from noria_aws.serving import Serving
from noria_aws.settings import admin_key_ids

serving = lru_cache(maxsize=1)(Serving)  # models stay loaded between requests

lambda_handler = http_handler(lambda: serving().operations, admin_key_ids)
