"""The promises of `ArtifactStore`: the same tests on the fake and on S3 over both clients."""

import os
import threading
import urllib.request
from io import BytesIO

import pytest

from noria_aws.aws.settings import AwsContext
from noria_aws.serving.ports import HttpArtifacts
from tests.support.fakes import MemoryArtifacts

KEYS = ["plain", "a b/c+d=e", "ñandú/日本", "deep/er/still/x.json"]


@pytest.fixture(params=["memory", "s3"])
def store(request):
    """Each implementation that writes."""
    if request.param == "memory":
        return MemoryArtifacts()
    return request.getfixturevalue("target").artifacts


@pytest.fixture
def prefix():
    """A place of the test's own."""
    return f"contract/{os.urandom(6).hex()}/"


@pytest.mark.parametrize("key", KEYS)
def test_what_is_put_is_got_streamed_and_exists(store, prefix, key):
    """Any key, any bytes."""
    body = b"line one\nline two\n" + bytes(range(256))
    assert store.put(prefix + key, body)
    assert store.get(prefix + key) == body
    assert store.exists(prefix + key)
    with store.open(prefix + key) as stream:
        assert stream.readline(5) == b"line "
        assert stream.readline(1000) == b"one\n"
        assert stream.read() == body[9:]


def test_an_absent_key_is_a_key_error(store, prefix):
    """Not an empty object."""
    assert not store.exists(prefix + "nothing")
    with pytest.raises(KeyError):
        store.get(prefix + "nothing")
    with pytest.raises(KeyError):
        store.open(prefix + "nothing")


def test_if_absent_never_overwrites(store, prefix):
    """The first writer wins, and the others know."""
    assert store.put(prefix + "k", b"first", if_absent=True)
    assert not store.put(prefix + "k", b"second", if_absent=True)
    assert store.get(prefix + "k") == b"first"
    assert store.put(prefix + "k", b"third")
    assert store.get(prefix + "k") == b"third"


def test_of_many_writers_at_once_exactly_one_wins(store, prefix):
    """The condition is the store's, not ours."""
    results, start = [], threading.Barrier(8)

    def write(number):
        start.wait()
        results.append((store.put(prefix + "k", b"%d" % number, if_absent=True), number))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((_, winner),) = [result for result in results if result[0]]
    assert store.get(prefix + "k") == b"%d" % winner


@pytest.mark.parametrize("key", KEYS)
def test_the_serving_client_reads_what_the_others_wrote(target, prefix, key):
    """Signed by hand, answered alike."""
    target.artifacts.put(prefix + key, b"\x00body")
    store = HttpArtifacts(target.outputs["DataBucket"], lambda: context(target))
    assert store.get(prefix + key) == b"\x00body"
    assert store.exists(prefix + key)
    assert not store.exists(prefix + key + "x")
    with pytest.raises(KeyError):
        store.get(prefix + key + "x")
    assert not store.put(prefix + key, b"other", if_absent=True)
    assert store.put(prefix + key + "new", b"written", if_absent=True)
    assert target.artifacts.get(prefix + key + "new") == b"written"


def test_links_let_anybody_read_or_write_one_object(target, prefix):
    """Without credentials; and counting sees every page."""
    store = HttpArtifacts(target.outputs["DataBucket"], lambda: context(target))
    for name in ("a", "b é+", "c"):
        request = urllib.request.Request(
            store.link("PUT", prefix + name, 60), data=name.encode(), method="PUT"
        )
        urllib.request.urlopen(request).close()
        assert target.artifacts.get(prefix + name) == name.encode()
        with urllib.request.urlopen(store.link("GET", prefix + name, 60)) as answer:
            assert answer.read() == name.encode()
    assert (store.count(prefix), store.count(prefix + "z")) == (3, 0)


def test_a_stream_is_written_as_one_object(store, prefix):
    """Whatever its size; several parts make one."""
    body = bytes(range(256)) * 80_000  # above one part
    store.put_stream(prefix + "stream", BytesIO(body))
    assert store.get(prefix + "stream") == body


def test_objects_below_a_prefix_are_listed_in_order(store, prefix):
    """With their sizes and times."""
    for name in ("b", "a/c", "a/b"):
        store.put(prefix + name, name.encode())
    found = list(store.under(prefix))
    assert [item.key for item in found] == [prefix + name for name in ("a/b", "a/c", "b")]
    assert [item.n_bytes for item in found] == [3, 3, 1]
    assert all(item.modified_at.tzinfo for item in found)
    assert not list(store.under(prefix + "zzz"))


def context(target) -> AwsContext:
    """Return the emulator's credentials and endpoint."""
    return AwsContext("us-east-1", "test", "test", None, target.emulator.endpoint_url)
