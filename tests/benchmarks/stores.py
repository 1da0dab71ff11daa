"""A loopback stand-in for the three services predict calls, to time its handler alone."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.records.alias import AliasRecord
from noria.records.codec import to_bytes
from noria.records.evaluation import Manifest
from noria.storage.hashing import canonical_json, sha256_hex
from noria.storage.keys import MANIFEST, model_key
from noria_aws.aws.alias_items import to_item


class Stores:
    """Serves one model version of one project; a context manager with `url`."""

    def __init__(self, project: str, files: dict[str, bytes]) -> None:
        hashes = {name: sha256_hex(body) for name, body in files.items()}
        named = {**files, MANIFEST: to_bytes(Manifest(project, "v1", hashes))}
        objects = {f"/bucket/{model_key(project, 'v1', n)}": body for n, body in named.items()}
        record = AliasRecord(project, 1, "v1", None, "2026-01-01T00:00:00+00:00")
        alias = canonical_json({"Item": to_item(record)})

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(objects[self.path])

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                is_alias = self.headers["x-amz-target"].startswith("DynamoDB")
                self._send(alias if is_alias else json.dumps({"RecordId": "1"}).encode())

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

    def __enter__(self) -> "Stores":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
