"""The ports predict needs, over signed HTTP: read artifacts, read aliases, append to the log."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, BinaryIO
from urllib.parse import quote

from noria.errors import SettingsError, StoreUnavailableError
from noria.records.alias import AliasChange, AliasRecord, HistoryEntry
from noria.records.prediction import PredictionRecord
from noria.storage.hashing import canonical_json
from noria_aws.aws import alias_items
from noria_aws.aws.settings import AwsContext
from noria_aws.serving.signed_http import Answer, Patience, SignedHttp, aws_host

# The second attempt is for a kept-open connection that the other side has closed.
_LOG_PATIENCE = Patience(attempts=2, seconds=1.0)
_TABLE_PATIENCE = Patience(attempts=3, seconds=1.0)
_FIREHOSE_RECORD_BYTES = 1_000_000  # of at most 1,024,000
_QUEUE_MESSAGE_BYTES = 200_000  # of at most 256 KiB, quoted

Context = Callable[[], AwsContext]


class HttpArtifacts:
    """`ArtifactStore` over S3; what may be written is the role's to say."""

    def __init__(self, bucket: str, context: Context) -> None:
        now = context()
        # The emulator serves one host for all buckets; AWS one host a bucket.
        self._prefix = f"/{bucket}/" if now.endpoint_url else "/"
        self._http = SignedHttp("s3", aws_host(f"{bucket}.s3", now.region), context)

    def get(self, key: str) -> bytes:
        """Return the object's bytes; KeyError when there is none."""
        answer = self._http.request("GET", self._path(key))
        if answer.status == 404:
            raise KeyError(key)
        return _checked(answer, f"reading {key}").body

    def open(self, key: str) -> BinaryIO:
        """Return the object as a stream."""
        return BytesIO(self.get(key))

    def exists(self, key: str) -> bool:
        """Return whether the key holds an object."""
        answer = self._http.request("HEAD", self._path(key))
        return answer.status != 404 and bool(_checked(answer, f"looking at {key}"))

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        """Write the object; with `if_absent`, False when the key already holds one."""
        headers = {"if-none-match": "*"} if if_absent else {}
        answer = self._http.request("PUT", self._path(key), body, headers)
        if if_absent and answer.status in (409, 412):  # 409: another one is writing it
            return False
        return bool(_checked(answer, f"writing {key}"))

    def link(self, method: str, key: str, seconds: int) -> str:
        """Return an address for one use of the key, signed with this function's rights."""
        return self._http.link(method, self._path(key), seconds)

    def count(self, prefix: str) -> int:
        """Return how many objects lie under a prefix."""
        n, token = 0, None
        while True:
            query = {"list-type": "2", "prefix": prefix}
            query |= {"continuation-token": token} if token else {}
            answer = self._http.request("GET", self._prefix, query=query)
            body = _checked(answer, f"listing {prefix}").body.decode()
            n += body.count("<Key>")
            token = _between(body, "<NextContinuationToken>", "</NextContinuationToken>")
            if token is None:
                return n

    def _path(self, key: str) -> str:
        return self._prefix + quote(key, safe="/-_.~")


class ReadOnlyAliases:
    """`ModelAliases` over DynamoDB, for reading."""

    def __init__(self, table: str, http: SignedHttp) -> None:
        self._table, self._http = table, http

    def read(self, project: str) -> AliasRecord:
        """Return the alias record, read consistently."""
        key = alias_items.key(project, alias_items.ALIASES_KEY)
        query = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        return alias_items.to_record(
            project, dynamodb_call(self._http, "GetItem", query).get("Item")
        )

    def history(self, project: str, *, limit: int = 20) -> Sequence[HistoryEntry]:
        """Return the changes of a project, newest first."""
        query = alias_items.history_query(self._table, project, limit)
        found = dynamodb_call(self._http, "Query", query)
        return [alias_items.to_entry(item) for item in found["Items"]]

    def apply(self, change: AliasChange) -> AliasRecord:
        """Refuse: the predict function has no right to move aliases."""
        raise SettingsError("the serving functions never move aliases")


class FirehoseLog:
    """`PredictionLog` over Firehose: one stream per project, rows packed into few records.

    What Firehose does not take goes to a queue, from which `replay_log` hands it over later.
    """

    def __init__(self, stream_prefix: str, fallback_queue_url: str, context: Context) -> None:
        self._queue_url = fallback_queue_url
        queue_host = aws_host("sqs", context().region)
        self._queue = SignedHttp("sqs", queue_host, context, patience=_LOG_PATIENCE)
        self._prefix = stream_prefix
        host = aws_host("firehose", context().region)
        self._http = SignedHttp("firehose", host, context, patience=_LOG_PATIENCE)

    def append(self, project: str, records: Sequence[PredictionRecord]) -> None:
        """Hand the rows over as JSON lines; StoreUnavailableError or SettingsError when refused."""
        for packed in _packed([canonical_json(record.to_dict()) + b"\n" for record in records]):
            stream = f"{self._prefix}{project}"
            query = {"DeliveryStreamName": stream, "Record": {"Data": b64encode(packed).decode()}}
            try:
                _json_call(self._http, "Firehose_20150804.PutRecord", "1.1", query)
            except StoreUnavailableError:
                self._keep(stream, packed)

    def _keep(self, stream: str, packed: bytes) -> None:
        """Put lines into the fallback queue, as many a message as it takes."""
        for part in _packed(packed.splitlines(keepends=True), _QUEUE_MESSAGE_BYTES):
            body = json.dumps({"stream": stream, "lines": part.decode()})
            query = {"QueueUrl": self._queue_url, "MessageBody": body}
            _json_call(self._queue, "AmazonSQS.SendMessage", "1.0", query)


def dynamodb(context: Context) -> SignedHttp:
    """Return the one connection of a function to DynamoDB."""
    host = aws_host("dynamodb", context().region)
    return SignedHttp("dynamodb", host, context, patience=_TABLE_PATIENCE)


def dynamodb_call(http: SignedHttp, operation: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an operation of DynamoDB answers; SettingsError where it refuses."""
    return _json_call(http, f"DynamoDB_20120810.{operation}", "1.0", query)


def _between(text: str, start: str, end: str) -> str | None:
    _, found, rest = text.partition(start)
    return rest.partition(end)[0] if found else None


def _packed(lines: Sequence[bytes], most: int = _FIREHOSE_RECORD_BYTES) -> list[bytes]:
    packs = [b""]
    for line in lines:
        if packs[-1] and len(packs[-1]) + len(line) > most:
            packs.append(b"")
        packs[-1] += line
    return packs


def _json_call(
    http: SignedHttp, target: str, version: str, query: Mapping[str, Any]
) -> dict[str, Any]:
    headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
    answer = http.request("POST", "/", canonical_json(query), headers)
    result: dict[str, Any] = json.loads(_checked(answer, target).body or b"{}")
    return result


def _checked(answer: Answer, doing: str) -> Answer:
    if answer.status >= 300:
        # `SignedHttp` has retried what may pass; the rest is rights and names.
        shown = answer.body[:300].decode("utf-8", "replace")
        raise SettingsError(f"{doing}: status {answer.status}: {shown}", doing=doing)
    return answer
