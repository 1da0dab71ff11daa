"""`Webhooks` over HTTPS; the addresses of the chat services are a secret in Secrets Manager."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from noria.errors import SettingsError, StoreUnavailableError
from noria_aws.aws.client_errors import translated

_SECONDS = 10.0


class SecretWebhooks:
    """`Webhooks` whose addresses are one secret a deployment.

    Notes
    -----
    The secret is JSON: {"<project>" or "*": {"slack": {"url": …}, "discord": {"url": …},
    "telegram": {"url": "https://api.telegram.org/bot…/sendMessage", "chat_id": …},
    "webhook": {"url": …, "authorization": …}}}.
    """

    def __init__(self, client: Any, secret_id: str) -> None:
        self._client, self._secret_id = client, secret_id

    def send(self, project: str, channel: str, message: Mapping[str, Any]) -> None:
        """Post a message.

        Raises
        ------
        SettingsError
            The secret names no address for the channel, or the service refuses the message for
            good.
        StoreUnavailableError
            The service is away or wants less; it is tried again.
        """
        address = self._address(project, channel)
        body = dict(message)
        if "chat_id" in address:
            body["chat_id"] = address["chat_id"]
        headers = {"content-type": "application/json"}
        if "authorization" in address:
            headers["authorization"] = address["authorization"]
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked
            address["url"], data=json.dumps(body).encode(), headers=headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310 - as above
                return
        except HTTPError as error:
            # Never the address: it is a secret.
            what = f"{channel} of {project} answered {error.code}"
            if error.code == 429 or error.code >= 500:
                raise StoreUnavailableError(what, status=error.code) from None
            raise SettingsError(f"{what}: check the secret", status=error.code) from None
        except (URLError, OSError) as error:
            reason = type(getattr(error, "reason", error)).__name__
            raise StoreUnavailableError(f"{channel} of {project}: {reason}") from None

    def _address(self, project: str, channel: str) -> dict[str, str]:
        with translated("reading the channels' secret"):
            found = self._client.get_secret_value(SecretId=self._secret_id)
        try:
            channels = json.loads(found["SecretString"])
        except ValueError:  # never its text
            raise SettingsError("the secret of the alert channels is not JSON") from None
        address = channels.get(project, {}).get(channel) or channels.get("*", {}).get(channel)
        if not address or "url" not in address:
            raise SettingsError(
                f"the secret of the alert channels has no {channel} for {project}; "
                "see docs/operations.md, Set up alerts"
            )
        parts = urlsplit(address["url"])
        if parts.scheme != "https" and parts.hostname != "127.0.0.1":
            raise SettingsError(f"the {channel} address of {project} must be https")
        checked: dict[str, str] = address
        return checked
