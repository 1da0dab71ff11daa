"""A challenger becomes an immutable model version, here and in another registry."""

import pytest

from noria.bundle.format import BUNDLE_FILE
from noria.errors import ModelVersionConflictError, SettingsError, StoreUnavailableError
from noria.registry.versions import verify_version
from noria.steps.register_model_version import (
    RegisterModelVersionRequest,
    register_model_version,
)
from noria.storage.keys import RESULT, candidate_key, model_key
from tests.support.fakes import SteppingClock
from tests.support.worlds import World, changed, trained


def _register(world, packages=None):
    dataset = world.artifacts.objects
    (dataset_version,) = {key.split("/")[2] for key in dataset if key.startswith("datasets/")}
    return register_model_version(
        RegisterModelVersionRequest("quick", "run", dataset_version, "logistic", "e", "lambda"),
        spec=world.spec, artifacts=world.artifacts, clock=world.clock, packages=packages,
    )  # fmt: skip


def test_a_version_is_named_after_its_run_and_bundle_and_explains_itself():
    """Its manifest has hashes of its files, its lineage, its metrics."""
    world, run = trained()
    manifest = verify_version(world.artifacts, "quick", run.model_version)
    assert run.model_version.startswith("run-")
    assert manifest.files[BUNDLE_FILE].startswith(run.model_version.removeprefix("run-"))
    assert manifest.lineage.candidate == "logistic"
    assert manifest.lineage.code == {"noria": "test"}
    assert set(manifest.metrics) == {"f1_weighted", "accuracy", "calibration_error"}


def test_a_repeated_step_registers_the_same_version_and_changes_nothing():
    """Neither a file nor the time of its first registration."""
    world, run = trained()
    before = dict(world.artifacts.objects)
    world.clock = SteppingClock()
    world.clock.now()
    assert _register(world).model_version == run.model_version
    assert world.artifacts.objects == before


def test_a_version_with_other_files_is_refused_and_stays_as_it_is():
    """Its name says the bundle, so other files under it are another model's."""
    world, run = trained()
    world.artifacts.put(candidate_key("quick", "run", "logistic", "golden.jsonl.gz"), b"other")
    with pytest.raises(ModelVersionConflictError):
        _register(world)
    verify_version(world.artifacts, "quick", run.model_version)


def test_a_candidate_without_a_result_is_not_registered():
    """What trained it would be unknown."""
    world, run = trained()
    for key in [key for key in world.artifacts.objects if key.startswith("models/")]:
        del world.artifacts.objects[key]
    del world.artifacts.objects[candidate_key("quick", "run", "logistic", RESULT)]
    with pytest.raises(KeyError):
        _register(world)
    assert not world.artifacts.exists(model_key("quick", run.model_version, "manifest.json"))


class _Packages:
    """Another registry, which may not answer."""

    def __init__(self, fault=None):
        self.got, self._fault = [], fault

    def mirror(self, project, model_version, status, properties):
        if self._fault:
            raise self._fault
        self.got.append((project, model_version, status, properties))


def test_another_registry_gets_each_version_with_what_the_gate_says():
    """Approved, or to be approved by a person where the rollout asks; an equal one is not."""
    world, packages = World(n_candidates=1), _Packages()
    first = world.train("run1", packages=packages)
    second = world.train("run2", packages=packages)
    assert [got[:3] for got in packages.got] == [
        ("quick", first.model_version, "Approved"),
        ("quick", second.model_version, "Rejected"),
    ]
    properties = packages.got[0][3]
    assert (properties["backend"], properties["decision"]) == ("lambda", "promote")
    assert float(properties["metric.f1_weighted"]) > 0.6
    world, _ = trained()
    world.spec = changed(world.spec, ("rollout", "approval"), "required")
    packages.got.clear()
    _register(world, packages=packages)
    assert [got[2] for got in packages.got] == ["PendingManualApproval"]


@pytest.mark.parametrize("fault", [StoreUnavailableError("down"), SettingsError("no right")])
def test_another_registry_that_fails_costs_no_model(fault):
    """The version is registered all the same, and the result says what failed."""
    world, run = trained()
    registered = _register(world, packages=_Packages(fault))
    assert registered.model_version == run.model_version
    assert registered.mirror_fault == fault.message
