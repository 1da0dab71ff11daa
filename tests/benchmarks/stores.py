"""A loopback stand-in for the services that predict and the authorizer call, to time them alone."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from noria.access.keys import Wanted, issue
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.records.alias import AliasRecord
from noria.records.codec import to_bytes
from noria.records.evaluation import Manifest
from noria.storage.hashing import canonical_json, sha256_hex
from noria.storage.keys import MANIFEST, model_key
from noria_aws.aws.access_items import key_to_item
from noria_aws.aws.alias_items import to_item


class Stores:
    """Serves one model version of one project; a context manager with `url`.

    Parameters
    ----------
    took : callable
        Gets each request of the prediction log that is taken.
    """

    def __init__(
        self,
        project: str,
        files: dict[str, bytes],
        took: Callable[[bytes], None] = lambda request: None,
    ) -> None:
        hashes = {name: sha256_hex(body) for name, body in files.items()}
        named = {**files, MANIFEST: to_bytes(Manifest(project, "v1", hashes))}
        objects = {f"/bucket/{model_key(project, 'v1', n)}": body for n, body in named.items()}
        record = AliasRecord(project, 1, "v1", None, "2026-01-01T00:00:00+00:00")
        alias = canonical_json({"Item": to_item(record)})
        new = issue(Wanted("bench", ("user",)), datetime.now(UTC), ())
        key = canonical_json({"Item": key_to_item(new.key)})
        self.key = new.value  # that the authorizer finds

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits 40 ms

            def do_GET(self) -> None:
                self._send(objects[self.path])

            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers["content-length"]))
                operation = self.headers["x-amz-target"].rpartition(".")[2]
                if operation == "PutRecord":
                    took(asked)
                answers = {"GetItem": key if b"access" in asked else alias, "UpdateItem": b"{}"}
                self._send(answers.get(operation, b'{"RecordId": "1"}'))

            def _send(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        assert {BUNDLE_FILE, ARRAYS_FILE} <= set(files)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What predict and the authorizer read; each request is counted."""
        return {
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",  # pragma: allowlist secret
            "AWS_ENDPOINT_URL": self.url,
            "NORIA_DATA_BUCKET": "bucket",
            "NORIA_ALIAS_TABLE": "table",
            "NORIA_PREDICTION_STREAM_PREFIX": "p-",
            "NORIA_FALLBACK_QUEUE_URL": "queue",
            "NORIA_ACCESS_TABLE": "access",
            "NORIA_TIER_PREFIX": "tier-",
            "NORIA_LIMITS": '{"tickets":{"predict":1000000}}',
        }

    def __enter__(self) -> "Stores":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
