"""A bundle that answers differently from training is refused before it is registered."""

import pytest

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, pack, unpack
from noria.data.versions import decode_rows, encode_rows
from noria.errors import ModelIncompatibleError
from noria.steps.verify_bundle import VerifyBundleRequest, verify_bundle
from noria.storage.keys import GOLDEN, candidate_key
from tests.support.worlds import trained


def _key(name):
    return candidate_key("quick", "run", "logistic", name)


def _verify(world):
    request = VerifyBundleRequest("quick", "run", "logistic")
    return verify_bundle(request, artifacts=world.artifacts)


def test_the_bundle_of_a_run_answers_as_training_did_and_nothing_is_written():
    """Golden rows through the serving runtime; how far it is off is said."""
    world, _ = trained()
    before = dict(world.artifacts.objects)
    result = _verify(world)
    assert result.n_golden_rows == len(decode_rows(world.artifacts.get(_key(GOLDEN))))
    assert result.largest_difference <= 1e-9
    assert result.precision == "float64"
    assert world.artifacts.objects == before


def test_a_bundle_that_answers_differently_is_refused():
    """A thousandth more on one class is seen."""
    world, _ = trained()
    names = (BUNDLE_FILE, ARRAYS_FILE)
    document, arrays = unpack({name: world.artifacts.get(_key(name)) for name in names})
    arrays["intercepts"][0] += 1e-3
    kept = {name: part for name, part in arrays.items() if not name.startswith("$")}
    for name, body in pack(document, kept).items():
        world.artifacts.put(_key(name), body)
    with pytest.raises(ModelIncompatibleError, match="differ by"):
        _verify(world)


def test_too_few_golden_rows_prove_nothing():
    """A bundle without them is refused, not trusted."""
    world, _ = trained()
    rows = decode_rows(world.artifacts.get(_key(GOLDEN)))
    world.artifacts.put(_key(GOLDEN), encode_rows(rows[:3]))
    with pytest.raises(ModelIncompatibleError, match="prove nothing"):
        _verify(world)
