"""Schedules in EventBridge's own language."""

import re

import pytest

from infra.constructs.monitoring import _every


@pytest.mark.parametrize("hours", range(1, 169))
def test_every_allowed_number_of_hours_is_a_valid_schedule(hours):
    """An increment of a cron field must fit into it: 0/24 does not."""
    text = _every(hours)
    if rate := re.fullmatch(r"rate\((\d+) hours\)", text):
        assert int(rate[1]) == hours > 1
        return
    found = re.fullmatch(r"cron\(5 (\*|\d+(?:,\d+)*) \* \* \? \*\)", text)
    times = [*range(24)] if found[1] == "*" else [int(time) for time in found[1].split(",")]
    assert times == [*range(0, 24, hours)]
    assert 24 % hours == 0
