"""Where things are: the only module that reads the environment."""

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

from noria.errors import SettingsError

DATA_BUCKET = "NORIA_DATA_BUCKET"
ALIAS_TABLE = "NORIA_ALIAS_TABLE"
PREDICTION_STREAM_PREFIX = "NORIA_PREDICTION_STREAM_PREFIX"
ACCESS_TABLE = "NORIA_ACCESS_TABLE"
LIMITS = "NORIA_LIMITS"  # optional: requests a minute, of each project by name
TIER_PREFIX = "NORIA_TIER_PREFIX"
JWT_ISSUER = "NORIA_JWT_ISSUER"  # optional: whose tokens are taken beside keys
JWT_AUDIENCE = "NORIA_JWT_AUDIENCE"  # where there is an issuer
JWT_SCOPE_CLAIM = "NORIA_JWT_SCOPE_CLAIM"  # likewise
API_KEY = "NORIA_API_KEY"  # of commands; its name, not its value  # pragma: allowlist secret
CODE_VERSION = "NORIA_CODE_VERSION"
MLFLOW_TRACKING_URI = "NORIA_MLFLOW_TRACKING_URI"  # optional
MODEL_PACKAGE_PREFIX = "NORIA_MODEL_PACKAGE_PREFIX"  # optional
METRIC_NAMESPACE = "NORIA_METRIC_NAMESPACE"
ALERT_TOPIC = "NORIA_ALERT_TOPIC"
TRAINING_MACHINE = "NORIA_TRAINING_MACHINE"
MONITORING_MACHINE = "NORIA_MONITORING_MACHINE"
BATCH_MACHINE = "NORIA_BATCH_MACHINE"
CHANNELS_SECRET = "NORIA_CHANNELS_SECRET"  # noqa: S105 - its name, not its value  # pragma: allowlist secret
FALLBACK_QUEUE_URL = "NORIA_FALLBACK_QUEUE_URL"
CORS_ORIGINS = "NORIA_CORS_ORIGINS"  # optional
TRAINING_ROOT = "NORIA_TRAINING_ROOT"  # optional; set on the embedded emulator only
CLOCK_FILE = "NORIA_CLOCK_FILE"  # optional; set on the embedded emulator only


class AwsContext(NamedTuple):
    """Region, credentials and endpoint of this process."""

    region: str
    access_key: str
    secret_key: str
    session_token: str | None
    endpoint_url: str | None  # set on the embedded emulator only


def setting(name: str) -> str:
    """Return a required environment variable; SettingsError names the missing one."""
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"environment variable {name} is not set; the stack sets it", name=name)
    return value


def optional_setting(name: str) -> str | None:
    """Return an environment variable that a deployment may leave out."""
    return os.environ.get(name) or None


def take_settings(values: Mapping[str, str]) -> None:
    """Set variables of this process, which got them as arguments: a Glue job has no others."""
    os.environ.update(values)


def limits() -> dict[str, dict[str, int]]:
    """Return how many requests a minute a key may send: project -> name of the limit -> number."""
    found: dict[str, dict[str, int]] = json.loads(optional_setting(LIMITS) or "{}")
    return found


def cors_origins() -> frozenset[str]:
    """Return the origins whose pages may call the API from a browser."""
    return frozenset((optional_setting(CORS_ORIGINS) or "").split(",")) - {""}


def training_root() -> str:
    """Return the folder of a SageMaker training job's files; the emulator's is elsewhere."""
    return os.environ.get(TRAINING_ROOT) or "/opt/ml"


def aws_context() -> AwsContext:
    """Return what requests are signed with, read anew because Lambda rotates it."""
    return AwsContext(
        region=setting("AWS_REGION"),
        access_key=setting("AWS_ACCESS_KEY_ID"),
        secret_key=setting("AWS_SECRET_ACCESS_KEY"),
        session_token=os.environ.get("AWS_SESSION_TOKEN") or None,
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None,
    )
