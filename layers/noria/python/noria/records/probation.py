"""A new champion held against the one before it, on the rows that both have answered."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Probation:
    """What labels say of a new champion beside the champion before."""

    champion: str  # model version
    previous: str  # the champion before, whose answers nobody is shown
    started_at: str  # UTC, ISO 8601
    ends_at: str  # until then both answer; labels are waited for a while longer
    metric: str  # the primary one, which decides what a worse answer is
    n_pairs: int  # labelled rows that both have answered; of a ranking, pairs of such rows
    is_ranking: bool
    # The metric on those rows: of the champion, of the one before; None without rows.
    scores: tuple[float, float] | None
    mean_difference: float  # of the losses, the champion's less the other's, in [-1, 1]
    evidence: float  # that the champion is worse: by chance above 1 / risk with this risk at most
    needed: float  # evidence at which it is rolled back
    is_worse: bool

    @property
    def counted(self) -> str:
        """What `n_pairs` counts, for people."""
        return "pairs of a hit and another row" if self.is_ranking else "rows"
