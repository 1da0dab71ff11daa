"""Fixtures of the steps."""

import pytest

from tests.support.alerts import Topic
from tests.support.fakes import FixedClock, MemoryClaims
from tests.support.production import START, Production, loan_spec
from tests.support.rollouts import STEPS


@pytest.fixture
def p():
    """A champion, and a registered challenger."""
    made = Production(rollout={"steps": STEPS, "min_rows": 40, "max_waits": 2})
    made.add_version("v2")
    return made


@pytest.fixture
def world():
    """A spec, claims, a topic and a clock."""
    return loan_spec(), MemoryClaims(), Topic(), FixedClock(START)
