"""JSON values with one place changed: what the events and the bundles of the fuzz are made of."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

_MANY = 3000  # fields that one value may get


def mutated(
    value: Any, rng: Random, anything: Callable[[Random], Any], names: Sequence[str]
) -> Any:
    """Return a JSON value with one place of it changed, added, doubled or gone.

    Parameters
    ----------
    anything : callable
        Returns what takes a place.
    names : sequence of str
        Of fields that are added.
    """
    if isinstance(value, dict) and value and rng.random() < 0.87:
        key, how = rng.choice([*value]), rng.random()
        if how < 0.65:
            return {**value, key: mutated(value[key], rng, anything, names)}
        if how < 0.8:
            return {k: v for k, v in value.items() if k != key}
        if how < 0.95:
            return {**value, rng.choice(names): anything(rng)}
        n = rng.choice([5, _MANY])
        return {**value, **{f"{rng.choice(names)[:20]}{number}": 1 for number in range(n)}}
    if isinstance(value, list) and value and rng.random() < 0.87:
        place, how = rng.randrange(len(value)), rng.random()
        if how < 0.7:
            part = mutated(value[place], rng, anything, names)
            return [*value[:place], part, *value[place + 1 :]]
        return value[:place] if how < 0.8 else value * rng.choice([2, 30])
    return anything(rng)
