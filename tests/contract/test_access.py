"""The promises of keys, counters and the audit log: the same tests on the fakes and on DynamoDB."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from noria.access.audit import Act, Auditor, faults_of
from noria.access.keys import Wanted, digest_of, issue
from noria.errors import KeyNotFoundError, SettingsError
from noria_aws.aws.access import DynamoDbAccessKeys, DynamoDbAuditLog, DynamoDbRequestCounts
from noria_aws.aws.clock import SystemClock
from noria_aws.aws.settings import AwsContext
from noria_aws.serving.access import HttpKeyLookup, HttpRequestCounts
from noria_aws.serving.ports import dynamodb
from tests.support.access import MemoryAccessKeys, MemoryAuditLog, MemoryRequestCounts
from tests.support.fakes import MemoryAliases, MemoryArtifacts

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _http(target):
    endpoint = target.emulator.endpoint_url
    return dynamodb(lambda: AwsContext("us-east-1", "test", "test", None, endpoint))


@pytest.fixture(params=["memory", "dynamodb"])
def keys(request):
    """Keys, and what the authorizer has of them."""
    if request.param == "memory":
        made = MemoryAccessKeys()
        return made, made
    target = request.getfixturevalue("target")
    table = target.outputs["AccessTable"]
    sdk = DynamoDbAccessKeys(target.client("dynamodb"), table)
    return sdk, HttpKeyLookup(table, _http(target))


@pytest.fixture(params=["memory", "sdk", "http"])
def counts(request):
    """Each implementation; the one over HTTP has a connection for each thread, as functions do."""
    if request.param == "memory":
        made = MemoryRequestCounts()
        return lambda: made
    target = request.getfixturevalue("target")
    table = target.outputs["AccessTable"]
    if request.param == "sdk":
        sdk = DynamoDbRequestCounts(target.client("dynamodb"), table)
        return lambda: sdk
    return lambda: HttpRequestCounts(table, _http(target))


@pytest.fixture(params=["memory", "dynamodb"])
def log(request):
    """Each implementation; the table's log is not empty, as nothing can be taken out of it."""
    if request.param == "memory":
        return MemoryAuditLog()
    target = request.getfixturevalue("target")
    return DynamoDbAuditLog(target.client("dynamodb"), target.outputs["AccessTable"])


@pytest.fixture
def copies(request, log):
    """Where the hashes of its entries are kept too."""
    if isinstance(log, MemoryAuditLog):
        return MemoryArtifacts()
    return request.getfixturevalue("target").artifacts


def test_a_key_is_found_by_its_digest_as_it_was_filed(keys):
    """Every field, whether it has a value or not."""
    store, lookup = keys
    plain = issue(Wanted("a", ("user",)), AT, ()).key
    full = issue(
        Wanted("b", ("user", "admin"), ("tickets", "housing"), "partner", 3, False), AT, ()
    ).key._replace(replaces="abc", revoked_at="2026-03-02", last_used_on="2026-03-01")
    for key in (plain, full):
        store.add(key)
        assert store.find(key.digest) == lookup.find(key.digest) == key
    assert {plain, full} <= set(store.all())
    assert store.find(digest_of("other")) is lookup.find(digest_of("other")) is None


def test_a_key_ends_and_one_that_is_gone_is_told(keys):
    """Nothing is made of one that never was."""
    store, lookup = keys
    key = issue(Wanted("a", ("user",)), AT, ()).key
    store.add(key)
    store.end(key.digest, "expires_at", "2026-03-02T00:00:00+00:00")
    store.end(key.digest, "revoked_at", "2026-03-01T00:00:00+00:00")
    found = lookup.find(key.digest)
    assert (found.expires_at[:10], found.revoked_at[:10]) == ("2026-03-02", "2026-03-01")
    with pytest.raises(KeyNotFoundError):
        store.end(digest_of("other"), "revoked_at", "2026-03-01")
    assert store.find(digest_of("other")) is None


def test_the_last_day_of_use_only_moves_on(keys):
    """A late note changes nothing; one of a key that is gone makes none."""
    store, lookup = keys
    key = issue(Wanted("a", ("user",)), AT, ()).key
    store.add(key)
    for day in ("2026-03-02", "2026-03-01"):
        lookup.note_use(key.digest, day)
    assert store.find(key.digest).last_used_on == "2026-03-02"
    lookup.note_use(digest_of("other"), "2026-03-02")
    assert store.find(digest_of("other")) is None


@pytest.mark.parametrize("clients", [1, 10, 64])
def test_a_limit_is_exact_to_one_however_many_ask_at_once(counts, project, clients):
    """Of 150 requests 37 are let through; of pairs as many as fit."""
    n_asked = 150

    def ask(bucket, n):
        made = counts()
        return lambda _: made.take(project, bucket, n, 37, AT)

    with ThreadPoolExecutor(clients) as pool:
        for bucket, n, through in (("one", 1, 37), ("two", 2, 18)):
            asking = [ask(bucket, n) for _ in range(clients)]
            found = [
                pool.submit(asking[number % clients], number) for number in range(n_asked)
            ] if clients == 1 else _each_its_own(pool, asking, n_asked)  # fmt: skip
            assert sum(future.result() for future in found) == through


def _each_its_own(pool, asking, n_asked):
    """Ask from as many threads, each with its own connection, one request after the other."""
    shares = [range(start, n_asked, len(asking)) for start in range(len(asking))]
    return [
        pool.submit(lambda share=share, ask=ask: sum(ask(n) for n in share))
        for share, ask in zip(shares, asking, strict=True)
    ]


def test_what_is_refused_counts_nothing(counts, project):
    """After a big one that does not fit, a small one does."""
    made = counts()
    assert made.take(project, "b", 8, 10, AT)
    assert not made.take(project, "b", 3, 10, AT)
    assert made.take(project, "b", 2, 10, AT)
    assert not made.take(project, "b", 1, 10, AT)
    assert made.take(project, "c", 1, 10, AT)


def test_entries_are_chained_and_read_page_by_page(log, copies, project):
    """The newest first."""
    auditor = Auditor(log, copies, MemoryAliases(), SystemClock(), lambda *_: None)
    first = log.last()
    for _ in range(3):
        auditor.audited(Act("a", "promote", project, {"n": 1}), lambda: None)
    mine = [entry for entry in log.before(None, 6) if entry.project == project]
    assert [entry.outcome for entry in mine] == ["done", "asked"] * 3
    assert log.last() == mine[0]
    assert [*log.before(mine[2].number, 2)] == mine[3:5]
    everything = log.before(None, 1000)
    assert faults_of(reversed(everything), copies) == []
    assert len(everything) == mine[0].number == (first.number if first else 0) + 6


def test_an_entry_is_never_overwritten(log, copies, project):
    """Its number is taken."""
    auditor = Auditor(log, copies, MemoryAliases(), SystemClock(), lambda *_: None)
    auditor.audited(Act("a", "promote", project, {}), lambda: None)
    last = log.last()
    assert not log.append(replace(last, actor="somebody else"))
    assert log.last() == last


def test_many_writers_make_one_chain(log, copies, project):
    """Eight at once, forty entries."""
    auditor = Auditor(log, copies, MemoryAliases(), SystemClock(), lambda *_: None)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda _: auditor.audited(Act("a", "promote", project, {}), lambda: None), range(20)
            )
        )
    everything = log.before(None, 1000)
    assert sum(entry.project == project for entry in everything) == 40
    assert faults_of(reversed(everything), copies) == []


class _LostAnswers:
    """A client whose first put is done, and whose answer is lost: the SDK puts again."""

    def __init__(self, client):
        self._client, self.n_lost = client, 0

    def __getattr__(self, name):
        return getattr(self._client, name)

    def put_item(self, **request):
        self._client.put_item(**request)
        self.n_lost += 1
        return self._client.put_item(**request)


def test_an_answer_that_was_lost_makes_no_second_entry_and_no_refused_key(target, project):
    """What is there is one's own."""
    client = _LostAnswers(target.client("dynamodb"))
    table = target.outputs["AccessTable"]
    auditor = Auditor(
        DynamoDbAuditLog(client, table), target.artifacts, MemoryAliases(), SystemClock(),
        lambda *_: None,
    )  # fmt: skip
    auditor.audited(Act("a", "promote", project, {}), lambda: None)
    newest = DynamoDbAuditLog(target.client("dynamodb"), table).before(None, 10)
    assert [e.outcome for e in newest if e.project == project] == ["done", "asked"]
    keys = DynamoDbAccessKeys(client, table)
    key = issue(Wanted("a", ("user",)), AT, ()).key
    keys.add(key)
    assert keys.find(key.digest) == key
    assert client.n_lost == 3
    with pytest.raises(SettingsError):
        DynamoDbAccessKeys(target.client("dynamodb"), table).add(key._replace(name="other"))
