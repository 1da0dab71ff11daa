"""Say what the key of a request may reach; API Gateway remembers the answer for a minute."""

from collections.abc import Mapping
from typing import Any

from noria_aws.serving.authorizer import deployed_authorizer


def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return a key's policy, or fail with the one text that API Gateway makes a 401 of."""
    return deployed_authorizer().answer(event)
