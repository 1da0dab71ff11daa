"""Parameter sets to try: fixed, or drawn at random from the spec's space, seeded."""

from collections.abc import Iterator, Mapping
from math import exp, log
from typing import Any

import numpy as np

from noria.spec.model import CandidateSection, SearchRange, SearchSection


def parameter_sets(candidate: CandidateSection, search: SearchSection) -> list[dict[str, Any]]:
    """Return the parameter sets of a candidate, each the fixed ones plus one draw of its space.

    Equal spec, equal sets, in equal order. Without a space there is one.
    """
    if search.kind == "none" or not candidate.space:
        return [dict(candidate.params)]
    rng = np.random.default_rng([search.seed, *candidate.name.encode()])
    return [{**candidate.params, **dict(_draw(rng, candidate.space))} for _ in range(search.trials)]


def _draw(
    rng: np.random.Generator, space: Mapping[str, SearchRange | tuple[Any, ...]]
) -> Iterator[tuple[str, Any]]:
    for name in sorted(space):
        values = space[name]
        if not isinstance(values, SearchRange):
            yield name, values[int(rng.integers(len(values)))]
        elif values.integer:
            yield name, int(rng.integers(int(values.low), int(values.high), endpoint=True))
        elif values.log:
            yield name, exp(rng.uniform(log(values.low), log(values.high)))
        else:
            yield name, float(rng.uniform(values.low, values.high))
