import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import quote

import botocore.session
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from noria.errors import StoreUnavailableError
from noria_aws.aws.settings import AwsContext
from noria_aws.serving.signed_http import (
    Patience,
    SignedHttp,
    aws_host,
    canonical_query,
    presigned,
    sign,
)

AT = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)


def _botocore(method, host, path, body, headers, service, context):
    """The reference: botocore's signature of the same request at the same time."""
    credentials = Credentials(context.access_key, context.secret_key, context.session_token)
    request = AWSRequest(method, f"https://{host}{path}", headers=dict(headers), data=body)
    request.headers["x-amz-content-sha256"] = __import__("hashlib").sha256(body).hexdigest()
    request.context["timestamp"] = AT.strftime("%Y%m%dT%H%M%SZ")
    request.context["payload_signing_enabled"] = True
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    auth = kind(credentials, service, context.region)
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    if context.session_token:
        request.headers["X-Amz-Security-Token"] = context.session_token
    canonical = auth.canonical_request(request)
    return auth.signature(auth.string_to_sign(request, canonical), request)


@pytest.mark.parametrize("service", ["s3", "dynamodb", "firehose"])
@given(
    body=st.binary(max_size=50),
    key=st.text("abcé /+=~%ñ-_.", min_size=1, max_size=20).filter(lambda k: "//" not in k),
    token=st.none() | st.just("token=="),
)
def test_signatures_equal_botocores(service, body, key, token):
    """The published algorithm, for any key, body and session."""
    path = "/" + quote(key.strip("/"), safe="/-_.~") if service == "s3" else "/"
    headers = {} if service == "s3" else {"x-amz-target": "A.B", "content-type": "x/y"}
    context = AwsContext("eu-west-1", "AKIA", "secret", token, None)
    host = f"{service}.eu-west-1.amazonaws.com"
    method = "GET" if service == "s3" else "POST"
    signed = sign(method, host, (path, ""), body, headers, service, context, AT)
    expected = _botocore(method, host, path, body, headers, service, context)
    assert signed["authorization"].endswith(f"Signature={expected}")


_KEYS = st.text("abcé /+=~%ñ-_.", min_size=1, max_size=20).filter(lambda k: "//" not in k)


@pytest.mark.parametrize("method", ["GET", "PUT"])
@given(key=_KEYS, token=st.none() | st.just("token/=="), seconds=st.integers(1, 604_800))
def test_links_equal_botocores(method, key, token, seconds):
    """Whoever has one may do this one thing, for as long as it says."""
    path = "/" + quote(key.strip("/"), safe="/-_.~")
    context = AwsContext("eu-west-1", "AKIA", "secret", token, None)
    host = "b.s3.eu-west-1.amazonaws.com"
    credentials = Credentials(context.access_key, context.secret_key, token)
    request = AWSRequest(method, f"https://{host}{path}")
    request.context["timestamp"] = AT.strftime("%Y%m%dT%H%M%SZ")
    auth = S3SigV4QueryAuth(credentials, "s3", context.region, expires=seconds)
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    expected = auth.signature(auth.string_to_sign(request, canonical), request)
    query = presigned(method, host, path, "s3", context, AT, seconds)
    assert query.endswith(f"&X-Amz-Signature={expected}")


@given(
    prefix=st.text("abcé /+=~%ñ-_.&?", max_size=20), token=st.text("ab/+=", min_size=1, max_size=9)
)
def test_signatures_of_queries_equal_botocores(prefix, token):
    """Listing, with any prefix and continuation."""
    context = AwsContext("eu-west-1", "AKIA", "secret", None, None)
    host, query = "b.s3.eu-west-1.amazonaws.com", {"prefix": prefix, "continuation-token": token}
    signed = sign("GET", host, ("/", canonical_query(query)), b"", {}, "s3", context, AT)
    path = f"/?{canonical_query(query)}"
    expected = _botocore("GET", host, path, b"", {}, "s3", context)
    assert signed["authorization"].endswith(f"Signature={expected}")


class _Service(BaseHTTPRequestHandler):
    """Answers, keeps the connection open by its word, and closes it after `n_requests`."""

    protocol_version = "HTTP/1.1"
    n_requests = 1
    connections: list[int]

    def setup(self) -> None:
        super().setup()
        self.connections.append(0)

    def do_GET(self) -> None:
        self.connections[-1] += 1
        if self.connections[-1] > self.n_requests:  # of this connection: no word at all
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
        self.close_connection = self.connections[-1] == self.n_requests

    def log_message(self, *_) -> None:
        pass


@contextmanager
def _service(n_requests: int) -> Iterator[tuple[AwsContext, list[int]]]:
    kind = type("Service", (_Service,), {"n_requests": n_requests, "connections": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        yield AwsContext("eu-west-1", "A", "s", None, endpoint), kind.connections
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.enable_socket
@pytest.mark.parametrize("n_requests", [1, 3])
def test_a_connection_that_was_closed_meanwhile_costs_no_attempt_and_no_time(
    monkeypatch, n_requests
):
    """With one attempt only, 60 requests are answered, and none waits."""
    waited = []
    clock = SimpleNamespace(sleep=waited.append)
    monkeypatch.setattr("noria_aws.serving.signed_http.time", clock)
    with _service(n_requests) as (context, connections):
        http = SignedHttp("s3", "host", lambda: context, patience=Patience(1, 3.0))
        for _ in range(60):
            assert http.request("GET", "/x").body == b"ok"
            time.sleep(0.002)  # until the service's end of the connection is seen to be closed
    assert len(connections) >= 60 // n_requests
    assert waited == []


@pytest.mark.enable_socket
def test_a_service_that_answers_nothing_is_asked_no_more_often_than_patience_says(monkeypatch):
    """Only a connection that answered before is tried again at once."""
    clock = SimpleNamespace(sleep=lambda _: None)
    monkeypatch.setattr("noria_aws.serving.signed_http.time", clock)
    with _service(0) as (context, connections):
        http = SignedHttp("s3", "host", lambda: context, patience=Patience(2, 3.0))
        with pytest.raises(StoreUnavailableError, match="after 2 attempts"):
            http.request("GET", "/x")
    assert connections == [1, 1]


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "sqs.eu-west-1.amazonaws.com"),
        ("us-gov-west-1", "sqs.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "sqs.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_hosts_are_those_of_the_regions_partition(region, host):
    """As botocore's endpoints have them."""
    assert aws_host("sqs", region) == host
    made = botocore.session.get_session().create_client(
        "sqs", region, aws_access_key_id="a", aws_secret_access_key="s"
    )
    assert made.meta.endpoint_url == f"https://{host}"
