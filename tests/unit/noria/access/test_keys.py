from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.access.keys import (
    PREFIX,
    Wanted,
    digest_of,
    is_valid,
    is_well_formed,
    issue,
    new_value,
    rotated,
    state_of,
)
from noria.errors import InvalidInputError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WANTED = Wanted("a desk", ("user",))


def _issued(**changes):
    return issue(WANTED._replace(**changes), NOW, ("predict", "history"))


def test_values_are_well_formed_and_differ():
    """190 random bits each; a thousand of them hold every character of the alphabet."""
    values = [new_value() for _ in range(1000)]
    assert len(set(values)) == 1000
    assert all(map(is_well_formed, values))
    assert len(set("".join(value[len(PREFIX) : -7] for value in values))) == 62


def test_each_changed_character_is_found_without_a_look_up():
    """All 45 places of a value, by the form or the checksum: nothing is looked up."""
    value = new_value()
    changed = [
        value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :]
        for at in range(len(value))
    ]
    assert [text for text in changed if is_well_formed(text)] == []
    assert len(changed) == 45


@given(st.text(max_size=60))
def test_no_text_but_a_key_is_well_formed(text):
    """Whatever a header holds."""
    assert not is_well_formed(text)
    assert not is_well_formed(PREFIX + text)


@pytest.mark.parametrize("extra", [" ", "\n", "\0", "x", "é"])
def test_nothing_may_stand_around_a_key(extra):
    """A line's end too."""
    value = new_value()
    assert not is_well_formed(value + extra)
    assert not is_well_formed(extra + value)


def test_a_key_is_filed_without_its_value():
    """By a digest, whose beginning is its name."""
    new = _issued()
    assert new.value not in repr(new.key)
    assert new.key.digest == digest_of(new.value)
    assert new.key.digest.startswith(new.key.key_id)
    assert len(new.key.key_id) == 12


def test_a_key_has_an_end_and_the_tier_of_its_scope():
    """A year, unless asked for less or more."""
    assert _issued().key.expires_at == "2027-03-01T12:00:00+00:00"
    tiers = [_issued(scopes=scopes).key.tier for scopes in (("user",), ("admin",), ("predict",))]
    assert tiers == ["user", "admin", "user"]
    assert _issued(tier="partner").key.tier == "partner"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"scopes": ()}, "scope"),
        ({"scopes": ("root",)}, "scope"),
        ({"projects": ()}, "projects"),
        ({"projects": ("*", "tickets")}, "projects"),
        ({"days": 0}, "days"),
        ({"days": 3651}, "days"),
    ],
)
def test_what_a_key_cannot_be_is_refused_by_its_field(changes, field):
    """With what can."""
    with pytest.raises(InvalidInputError) as caught:
        _issued(**changes)
    (fault,) = caught.value.details["errors"]
    assert fault["field"] == field


def test_a_key_opens_until_its_end_and_not_when_it_is_revoked():
    """To the second."""
    key = _issued(days=1).key
    end = NOW + timedelta(days=1)
    assert is_valid(key, end - timedelta(seconds=1))
    assert not is_valid(key, end)
    revoked = key._replace(revoked_at="2026-03-01T11:00:00+00:00")
    assert not is_valid(revoked, NOW)
    assert [state_of(k, at) for k, at in ((key, NOW), (key, end), (revoked, NOW))] == [
        "good",
        "expired",
        "revoked",
    ]


def test_a_rotated_key_keeps_what_it_may_and_both_are_good_for_a_while():
    """The old one ends after the overlap, but never later than it would have."""
    old = _issued(scopes=("admin",), projects=("tickets",), is_limited=False).key
    old = old._replace(last_used_on="2026-02-28")
    new, end = rotated(old, NOW, days=30, overlap=timedelta(hours=24))
    assert new.key.grant[1:] == old.grant[1:]
    assert (new.key.replaces, new.key.last_used_on) == (old.key_id, None)
    assert new.key.digest == digest_of(new.value) != old.digest
    assert end == "2026-03-02T12:00:00+00:00"
    assert rotated(old, NOW, days=30, overlap=timedelta(days=4000))[1] == old.expires_at


@pytest.mark.parametrize("changes", [{"revoked_at": "2026-01-01"}, {"expires_at": "2026-03-01"}])
def test_a_key_that_opens_nothing_is_not_rotated(changes):
    """That would revive it."""
    with pytest.raises(InvalidInputError, match="create a new one"):
        rotated(_issued().key._replace(**changes), NOW, days=30, overlap=timedelta(0))
