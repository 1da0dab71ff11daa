"""What happened in a simulation, to be read and drawn."""

from dataclasses import dataclass, field

from cli.display import console
from cli.world import SimulationSettings


@dataclass
class Timeline:
    """What happened, and how good the answers were, day by day."""

    metric: str
    settings: SimulationSettings
    events: list[tuple[float, str, str]] = field(default_factory=list)  # day, what, detail
    scores: list[tuple[float, float]] = field(default_factory=list)  # day, true score of its rows

    def add(self, day: float, what: str, detail: str) -> None:
        """Keep an event and say it."""
        self.events.append((day, what, detail))
        console.print(f"day {day:5.2f}  {what:<18} {detail[:150]}", markup=False)

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the events as text."""
        return [(f"{day:.2f}", what, detail[:110]) for day, what, detail in self.events]

    def count(self, what: str) -> int:
        """Return how often something happened."""
        return sum(event == what for _, event, _ in self.events)

    def mean_score(self, start: float, end: float) -> float | None:
        """Return the mean true score of the days in [start, end)."""
        known = [score for day, score in self.scores if start <= day < end]
        return sum(known) / len(known) if known else None

    def summary(self) -> str:
        """Return how the loop did, in a few lines."""
        first = self.settings.drift_day
        noticed = [d for d, what, _ in self.events if what == "drift" and d >= first]
        promoted = [d for d, what, _ in self.events if what == "promoted" and d > first]
        before = self.mean_score(0, first)
        during = self.mean_score(first, promoted[0] if promoted else self.settings.days)
        after = self.mean_score(promoted[0] + 1, self.settings.days) if promoted else None
        early = sum(what == "retraining" and d < first for d, what, _ in self.events)
        lines = [
            f"retrainings before the change: {early}; after it: {self.count('retraining') - early}",
            f"change on day {first}, confirmed on day {noticed[0]:.2f}" if noticed else "no drift",
            f"{self.metric}: {_shown(before)} before, {_shown(during)} after the change, "
            f"{_shown(after)} after the promotion",
            f"failed requests: {self.count('failed request')}",
        ]
        return "\n".join(lines)

    def drawn(self) -> str:
        """Return the timeline as SVG."""
        from noria.reporting.pictures import timeline  # a second that only this command pays

        return timeline(self.scores, self.events, self.metric, self.settings.drift_day)


def _shown(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"
