"""What a bundle says of the labels that may come later."""

import numpy as np

from noria.data.targets import TargetReader
from noria.training.contracts import label_contract, max_gaps


def _read(spec, targets, label):
    contract = label_contract(spec, targets)
    return TargetReader(spec.project.task, contract, missing=()).read(label)


def test_a_value_far_outside_training_is_no_label(housing):
    """1e155 is a slip; its square would stop every check for as long as it lies in the window."""
    targets = np.array([5.0, 20.0, 50.0])
    assert _read(housing, targets, 500.0) == (500.0, None)
    for value in (501.0, 1e155, "1e308"):
        label, reason = _read(housing, targets, value)
        assert (label, reason) == (None, "outside [0.0, 500.0]")


def test_the_specs_own_bounds_stay(housing):
    """They say more than the rows do; a class has no bounds."""
    target = housing.target.model_copy(update={"max": 60.0})
    bounded = housing.model_copy(update={"target": target})
    contract = label_contract(bounded, np.array([5.0, 50.0]))
    assert (contract.min, contract.max) == (0.0, 60.0)


def test_classes_have_no_bounds(tickets):
    """Their numbers are names."""
    contract = label_contract(tickets, np.array([0, 1, 2]))
    assert (contract.min, contract.max) == (None, None)


def test_a_row_may_have_as_many_gaps_as_the_spec_says_or_training_had(housing):
    """Of 13 columns a tenth is one; a training row with three gaps allows three."""
    names = [name for name, column in housing.dataset.columns.items() if not column.optional]
    whole = dict.fromkeys(housing.dataset.columns, 1.0)
    few = housing.dataset.model_copy(update={"max_missing_fraction": 0.1})
    spec = housing.model_copy(update={"dataset": few})
    assert max_gaps(spec, [whole]) == int(0.1 * len(names))
    assert max_gaps(housing, [whole]) == int(0.5 * len(names))
    assert max_gaps(spec, [whole, whole | dict.fromkeys(names[:3])]) == 3
