"""What a statistic found in one column."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """How far a column has moved, and how surely."""

    effect: float  # in the statistic's own unit, 0 for no change
    p_value: float | None  # of no change; None where the statistic has no test
    detail: str  # for people: what was, what is
