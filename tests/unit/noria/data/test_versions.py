import gzip

import pytest

from noria.data.versions import encode_rows, read_rows, write_dataset
from noria.errors import ModelCorruptError
from noria.records.dataset import DatasetOrigin
from noria.storage.keys import MANIFEST, TEST, TRAIN, dataset_key
from tests.support.fakes import MemoryArtifacts

ROWS = [{"x": 1.0, "_target": "ñ"}], [{"x": None, "_target": "b"}]


def test_equal_rows_are_one_version_and_read_back_equal():
    """The version is the content's hash."""
    artifacts = MemoryArtifacts()
    first = write_dataset(artifacts, "p", ROWS, DatasetOrigin(("a",)))
    before = dict(artifacts.objects)
    assert write_dataset(artifacts, "p", ROWS, DatasetOrigin(("b",))) == first
    assert artifacts.objects == before
    assert read_rows(artifacts, "p", first, TRAIN) == ROWS[0]
    assert read_rows(artifacts, "p", first, TEST) == ROWS[1]


def test_other_rows_are_another_version():
    """One changed value is another dataset."""
    artifacts = MemoryArtifacts()
    assert write_dataset(artifacts, "p", ROWS, DatasetOrigin()) != write_dataset(
        artifacts, "p", ([{"x": 2.0}], ROWS[1]), DatasetOrigin()
    )


def test_changed_bytes_are_refused():
    """Rows that are not what the manifest says are not trained on."""
    artifacts = MemoryArtifacts()
    version = write_dataset(artifacts, "p", ROWS, DatasetOrigin())
    assert artifacts.exists(dataset_key("p", version, MANIFEST))
    key = dataset_key("p", version, TRAIN)
    whole = artifacts.objects[key]
    for changed in (whole + b"x", whole[:-9], b"", encode_rows(ROWS[1])):
        artifacts.objects[key] = changed
        with pytest.raises(ModelCorruptError, match=key):
            read_rows(artifacts, "p", version, TRAIN)


def test_another_zlib_makes_the_same_version():
    """It packs equal rows into other bytes: a machine of another kind may train on them."""
    artifacts = MemoryArtifacts()
    version = write_dataset(artifacts, "p", ROWS, DatasetOrigin())
    key = dataset_key("p", version, TRAIN)
    other = gzip.compress(gzip.decompress(artifacts.objects[key]), compresslevel=1, mtime=1)
    assert other != artifacts.objects[key]
    artifacts.objects[key] = other
    assert read_rows(artifacts, "p", version, TRAIN) == ROWS[0]
    assert write_dataset(artifacts, "p", ROWS, DatasetOrigin()) == version
