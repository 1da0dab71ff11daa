"""What `noria train` refuses before anything starts; the rest is in tests/integration."""

from types import SimpleNamespace

import pytest

from cli.training import champion_to_refit
from infra.config import SPECS
from noria.errors import NoChampionError
from noria.spec.loader import load_project
from tests.support.fakes import MemoryAliases


def _asked(project, **how):
    target = SimpleNamespace(aliases=MemoryAliases())
    return champion_to_refit(target, load_project(project, SPECS), **how)


@pytest.mark.parametrize(
    ("project", "refit", "said"),
    [
        ("customers", True, "name one of them"),
        ("tickets", False, "tickets: recalibration needs calibrated classes and a split by time"),
        ("housing", False, "housing: recalibration needs calibrated classes and a split by time"),
    ],
)
def test_a_recalibration_that_cannot_be_is_refused_with_the_reason(project, refit, said):
    """Before a file is uploaded."""
    with pytest.raises(ValueError, match=said):
        _asked(project, refit=refit, recalibrate=True)


@pytest.mark.parametrize("how", [(True, False), (False, True)])
def test_what_is_not_there_is_neither_refitted_nor_recalibrated(how):
    """A first training needs neither."""
    with pytest.raises(NoChampionError):
        _asked("customers", refit=how[0], recalibrate=how[1])
    assert _asked("customers", refit=False, recalibrate=False) is None
