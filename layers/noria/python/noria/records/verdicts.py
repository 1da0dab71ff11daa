"""What a check says in a word."""

from typing import Literal

# "suspected": something has moved in a window, and more new rows must say whether it has.
DriftVerdict = Literal["stable", "suspected", "drift", "insufficient_data"]
# "suspected": nothing is confirmed, and something may have moved.
Health = Literal["healthy", "suspected", "unhealthy", "insufficient_data"]
