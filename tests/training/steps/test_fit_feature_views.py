"""Features of every fold and of all training rows, computed once for all candidates."""

import gzip
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from noria.data.versions import decode_rows, encode_rows
from noria.errors import TrainingFailedError
from noria.features.matrix import from_bytes
from noria.records.codec import from_bytes as from_record
from noria.records.codec import to_bytes
from noria.records.dataset import DatasetManifest
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.storage.hashing import sha256_hex
from noria.storage.keys import (
    ALL_ROWS,
    FEATURE_LAYER,
    FITTED,
    MANIFEST,
    PRIMARY_LAYER,
    TARGETS,
    TEST,
    TRAIN,
    dataset_key,
    fold_name,
    run_key,
)
from tests.support.pipeline import prepared_tickets
from tests.support.worlds import changed


@pytest.fixture(scope="module")
def prepared():
    """Spec, store and dataset version of quick tickets, their features fitted."""
    return prepared_tickets()


def _fit(spec, store, version):
    request = FitFeatureViewsRequest("quick", "r", version)
    return fit_feature_views(request, spec=spec, artifacts=store)


def _file(store, name):
    return store.get(run_key("quick", "r", name))


def _rows(store, version):
    return decode_rows(store.get(dataset_key("quick", version, TRAIN)))


def test_each_fold_is_fitted_on_its_rows_and_scores_the_others(prepared):
    """Together they are all training rows, once."""
    spec, store, version = prepared
    n_rows = len(_rows(store, version))
    with np.load(BytesIO(_file(store, TARGETS))) as targets:
        scored = []
        for number in range(spec.evaluation.folds):
            fit, score = targets[f"fit_{number}"], targets[f"score_{number}"]
            assert from_bytes(_file(store, fold_name(number, "fit"))).shape[0] == len(fit)
            assert from_bytes(_file(store, fold_name(number, "score"))).shape[0] == len(score)
            assert sorted([*fit, *score]) == list(range(n_rows))
            scored += list(score)
    assert sorted(scored) == list(range(n_rows))
    assert from_bytes(_file(store, ALL_ROWS)).shape[0] == n_rows


def test_the_layers_to_look_at_have_the_rows_and_the_names_of_the_features(prepared):
    """The first layer has a row for each training row, the second a column for each name."""
    _, store, version = prepared
    assert len(decode_rows(_file(store, PRIMARY_LAYER))) == len(_rows(store, version))
    header, *lines = gzip.decompress(_file(store, FEATURE_LAYER)).decode().splitlines()
    assert len(lines) == len(_rows(store, version))
    assert {line.count(",") for line in lines} == {header.count(",")}


def test_features_fitted_again_are_equal_to_the_byte_and_read_no_test_row(prepared):
    """A step that is retried changes nothing."""
    spec, store, version = prepared
    store = store.copied()
    before = dict(store.objects)
    del store.objects[dataset_key("quick", version, TEST)]
    del store.objects[run_key("quick", "r", FITTED)]
    result = _fit(spec, store, version)
    assert result.n_folds == spec.evaluation.folds
    assert result.n_features == from_bytes(_file(store, ALL_ROWS)).shape[1]
    assert {key: store.objects.get(key) for key in before if "/test/" not in key} == {
        key: body for key, body in before.items() if "/test/" not in key
    }


def test_a_run_that_is_started_again_keeps_whole_features_of_the_same_rows_only(prepared):
    """Not those that an attempt on other rows has begun to write over: that says so first."""
    spec, store, version = prepared
    store, written = store.copied(), []
    put = store.put

    def counted(key, body, **more):
        written.append(key)
        if len(written) == dies_at:
            raise InterruptedError
        return put(key, body, **more)

    store.put, dies_at = counted, 0
    assert _fit(spec, store, version).n_features > 0
    assert written == []
    other = changed(spec, ("evaluation", "folds"), 3)
    dies_at = 3
    with pytest.raises(InterruptedError):
        _fit(other, store, version)
    assert written[0] == run_key("quick", "r", FITTED)
    written.clear()
    dies_at = 0
    assert _fit(spec, store, version).n_folds == 2
    assert len(written) > 5
    assert _fit(spec, store, version) == _fit(spec, store, version)
    assert written[-1] == run_key("quick", "r", FITTED)


def _with_rows(store, version, rows):
    store, key = store.copied(), dataset_key("quick", version, MANIFEST)
    body = encode_rows(rows)
    manifest = from_record(DatasetManifest, store.get(key))
    hashes = {**manifest.files, TRAIN: sha256_hex(body)}
    store.put(dataset_key("quick", version, TRAIN), body)
    store.put(key, to_bytes(replace(manifest, files=hashes)))
    del store.objects[run_key("quick", "r", FITTED)]  # of the same version, with other rows
    return store


def test_texts_without_usable_words_are_refused(prepared):
    """Only stop words are left of them."""
    spec, store, version = prepared
    rows = [
        {**row, "short_description": "de " * (number + 1), "close_notes": ""}
        for number, row in enumerate(_rows(store, version))
    ]
    with pytest.raises(TrainingFailedError, match="no usable words"):
        _fit(spec, _with_rows(store, version, rows), version)


def test_more_folds_than_rows_are_refused_with_what_to_change(prepared):
    """A fold without rows would score nothing."""
    spec, store, version = prepared
    spec = changed(spec, ("evaluation", "folds"), 4)
    rows = _rows(store, version)[:1]
    with pytest.raises(TrainingFailedError, match=r"lower evaluation\.folds"):
        _fit(spec, _with_rows(store, version, rows), version)
