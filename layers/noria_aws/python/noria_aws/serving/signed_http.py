"""Signature Version 4 over `http.client`: the three AWS calls predict makes, without botocore.

Why not botocore: importing it and making three clients takes 0.17 s and 51 MB, this 0.02 s and
18 MB; it is the largest part of a cold start otherwise. Every other function uses boto3. The
tests hold the signature equal to botocore's.
"""

import hashlib
import hmac
import http.client
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from noria.errors import StoreUnavailableError
from noria_aws.aws.settings import AwsContext

_BACKOFF_SECONDS = 0.05
_RETRIED = frozenset({429, 500, 502, 503, 504})
_THROTTLING = (b"ProvisionedThroughputExceeded", b"ThrottlingException", b"SlowDown")


def aws_host(service: str, region: str) -> str:
    """Return the host of a service; the regions of China have a domain of their own."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{service}.{region}.{suffix}"


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes


class Patience(NamedTuple):
    """How often and how long to wait for one service."""

    attempts: int
    seconds: float  # to connect, and for each read


class SignedHttp:
    """Signed requests to one service, over one kept-open connection.

    Parameters
    ----------
    service : str
        Signing name: "s3", "dynamodb", "firehose".
    host : str
        AWS host, used unless the context has an endpoint of its own.
    context : callable
        Returns the current credentials and endpoint.
    """

    def __init__(
        self,
        service: str,
        host: str,
        context: Callable[[], AwsContext],
        *,
        patience: Patience = Patience(attempts=3, seconds=3.0),  # noqa: B008 - immutable
    ) -> None:
        self._service, self._host, self._context = service, host, context
        self._patience = patience
        self._connection: http.client.HTTPConnection | None = None

    def link(self, method: str, path: str, seconds: int) -> str:
        """Return the address of a path with its signature, good for a number of seconds."""
        context = self._context()
        endpoint = urlsplit(context.endpoint_url or f"https://{self._host}")
        query = presigned(
            method, endpoint.netloc, path, self._service, context, datetime.now(UTC), seconds
        )
        return f"{endpoint.scheme}://{endpoint.netloc}{path}?{query}"

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the service's answer; StoreUnavailableError when patience is out."""
        asked = canonical_query(query or {})
        reason = ""
        for attempt in range(self._patience.attempts):
            if attempt:
                time.sleep(_BACKOFF_SECONDS * 2**attempt)
            try:
                answer = self._answer(method, (path, asked), body, headers or {})
            except (OSError, http.client.HTTPException) as error:
                reason = repr(error)
                continue
            throttled = answer.status == 400 and any(t in answer.body for t in _THROTTLING)
            if answer.status not in _RETRIED and not throttled:
                return answer
            reason = f"status {answer.status}"
        raise StoreUnavailableError(
            f"{self._service} did not answer after {self._patience.attempts} attempts: {reason}",
            service=self._service,
        )

    def _answer(
        self, method: str, place: tuple[str, str], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Return an answer; a connection that the service has closed meanwhile costs no attempt.

        Services close connections that were idle for some seconds, or after a number of requests.
        """
        is_kept = self._connection is not None
        try:
            return self._once(method, place, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            if not (is_kept and isinstance(error, ConnectionError)):
                raise
        try:
            return self._once(method, place, body, headers)
        except (OSError, http.client.HTTPException):
            self._close()
            raise

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(
        self, method: str, place: tuple[str, str], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        path, query = place
        context = self._context()
        endpoint = urlsplit(context.endpoint_url or f"https://{self._host}")
        signed = sign(
            method, endpoint.netloc, place, body, headers, self._service, context, datetime.now(UTC)
        )
        if self._connection is None:
            secure = endpoint.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            self._connection = kind(endpoint.netloc, timeout=self._patience.seconds)
        target = f"{path}?{query}" if query else path
        self._connection.request(method, target, body or None, signed)
        response = self._connection.getresponse()
        return Answer(response.status, response.read())


def sign(
    method: str,
    host: str,
    place: tuple[str, str],
    body: bytes,
    headers: Mapping[str, str],
    service: str,
    context: AwsContext,
    at: datetime,
) -> dict[str, str]:
    """Return the request's headers with its Signature Version 4.

    Parameters
    ----------
    place : (str, str)
        Path, percent-encoded, and `canonical_query`.
    at : datetime
        UTC.

    References
    ----------
    .. [1] AWS, Identity and Access Management user guide, "Create a signed AWS API request".
    """
    path, query = place
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    signed = {**headers, "host": host, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    if context.session_token:
        signed["x-amz-security-token"] = context.session_token
    signed = {name.lower(): value.strip() for name, value in signed.items()}
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [
            method,
            path if service == "s3" else quote(path, safe="/-_.~"),
            query,
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            digest,
        ]
    )
    scope = f"{stamp[:8]}/{context.region}/{service}/aws4_request"
    signature = _signature(canonical, stamp, scope, context.secret_key)
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={context.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return signed


def presigned(
    method: str,
    host: str,
    path: str,
    service: str,
    context: AwsContext,
    at: datetime,
    seconds: int,
) -> str:
    """Return the query that lets anybody make one request to a path, for `seconds`.

    References
    ----------
    .. [1] Amazon S3 API reference, "Authenticating requests: using query parameters".
    """
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{context.region}/{service}/aws4_request"
    parameters = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{context.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if context.session_token:
        parameters["X-Amz-Security-Token"] = context.session_token
    query = canonical_query(parameters)
    canonical = "\n".join([method, path, query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"])
    return f"{query}&X-Amz-Signature={_signature(canonical, stamp, scope, context.secret_key)}"


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Return parameters as a query, sorted and percent-encoded as signatures want it."""
    pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _signature(canonical: str, stamp: str, scope: str, secret: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()
