"""All rows as a dataset version of their own."""

from noria.data.versions import read_dataset_manifest, read_rows
from noria.steps.prepare_refit import PrepareRefitRequest, prepare_refit
from noria.storage.keys import TEST, TRAIN
from tests.support.pipeline import prepared_tickets


def test_the_version_holds_every_row_once_and_none_to_test_on():
    """Training rows first, then the newer test rows; the sources are the same."""
    spec, store, version = prepared_tickets()
    request = PrepareRefitRequest("quick", "r", version)
    found = prepare_refit(request, spec=spec, artifacts=store)
    whole = found.dataset_version
    parts = [read_rows(store, "quick", version, name) for name in (TRAIN, TEST)]
    assert read_rows(store, "quick", whole, TRAIN) == parts[0] + parts[1]
    assert read_rows(store, "quick", whole, TEST) == []
    assert (found.run_id, found.n_rows) == ("r-refit", len(parts[0]) + len(parts[1]))
    manifests = [read_dataset_manifest(store, "quick", v) for v in (version, whole)]
    assert manifests[0].offered == manifests[1].offered
    assert manifests[0].schema == manifests[1].schema
    assert whole != version


def test_the_same_again_writes_nothing_new():
    """A run that is started again goes on with the same rows."""
    spec, store, version = prepared_tickets()
    request = PrepareRefitRequest("quick", "r", version)
    first = prepare_refit(request, spec=spec, artifacts=store)
    before = dict(store.objects)
    assert prepare_refit(request, spec=spec, artifacts=store) == first
    assert store.objects == before
