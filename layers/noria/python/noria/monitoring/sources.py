"""Where the values of a monitored column come from: inputs, texts, or what the model answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from noria.records.prediction import PredictionRecord, Row
from noria.spec.model import ProjectSpec

PREDICTION, CONFIDENCE, POSITIVE = "(prediction)", "(confidence)", "(positive)"
OUTPUTS = (PREDICTION, CONFIDENCE, POSITIVE)
TextPart = Literal["characters", "words", "rare", "terms"]
_TEXT_PARTS: tuple[TextPart, ...] = ("characters", "words", "rare", "terms")
_FEW_VALUES = 10  # numbers with at most as many distinct values are compared as levels


@dataclass(frozen=True)
class InputSource:
    """An input column; "few" are numbers with so few values that they are compared as levels."""

    column: str
    reading: Literal["number", "levels", "few"]

    @property
    def has_levels(self) -> bool:
        """Whether values are compared as levels."""
        return self.reading != "number"

    def value(self, record: PredictionRecord) -> Any:
        """Return the record's value; None where it has none."""
        value = record.inputs.get(self.column)
        if value is None or self.reading == "levels":
            return value
        return f"{value + 0.0:g}" if self.reading == "few" else value  # zero has no sign

    def to_list(self) -> list[str]:
        """Return the source as JSON data."""
        return ["input", self.column, self.reading]


@dataclass(frozen=True)
class TextSource:
    """One signal of a text column."""

    column: str
    part: TextPart

    def value(self, record: PredictionRecord) -> Any:
        """Return the record's value; None where the text is missing."""
        signals = record.signals.get(self.column)
        return None if signals is None else getattr(signals, self.part)

    def to_list(self) -> list[str]:
        """Return the source as JSON data."""
        return ["text", self.column, self.part]


@dataclass(frozen=True)
class OutputSource:
    """What the model answered."""

    field: Literal["prediction", "confidence"]

    def value(self, record: PredictionRecord) -> Any:
        """Return the record's value."""
        return getattr(record.answer, self.field)

    def to_list(self) -> list[str]:
        """Return the source as JSON data."""
        return ["output", self.field]


@dataclass(frozen=True)
class ProbabilitySource:
    """The probability of one class."""

    class_name: str

    def value(self, record: PredictionRecord) -> Any:
        """Return the record's value."""
        return record.answer.probabilities[self.class_name] if record.answer else None

    def to_list(self) -> list[str]:
        """Return the source as JSON data."""
        return ["probability", self.class_name]


Source = InputSource | TextSource | OutputSource | ProbabilitySource
_KINDS: Mapping[str, Callable[..., Source]] = {
    "input": InputSource,
    "text": TextSource,
    "output": OutputSource,
    "probability": ProbabilitySource,
}


def source_from_list(data: Sequence[str]) -> Source:
    """Return the source that `to_list` wrote; LookupError or TypeError for anything else."""
    return _KINDS[data[0]](*data[1:])


def values_of(
    sources: Mapping[str, Source], records: Sequence[PredictionRecord]
) -> dict[str, list[Any]]:
    """Return the values of each monitored column, one per record."""
    return {name: [source.value(record) for record in records] for name, source in sources.items()}


def input_sources(spec: ProjectSpec, rows: Sequence[Row]) -> dict[str, InputSource | TextSource]:
    """Return the sources of a project's inputs, by the name that findings show.

    Parameters
    ----------
    rows : training rows
        They tell which numbers have few values. Personal columns are left out, but for the
        signals of texts.
    """
    sources: dict[str, InputSource | TextSource] = {}
    for name, column in spec.dataset.columns.items():
        if column.pii == "drop":
            continue
        if column.type == "text":
            sources |= {f"{name}: {part}": TextSource(name, part) for part in _TEXT_PARTS}
        elif column.type == "category" and not column.pii:
            sources[name] = InputSource(name, "levels")
        elif column.type == "number" and not column.pii:
            distinct = {row[name] for row in rows if row[name] is not None}
            sources[name] = InputSource(name, "few" if len(distinct) <= _FEW_VALUES else "number")
    ignored = set(spec.monitoring.ignore)
    return {name: s for name, s in sources.items() if not {name, s.column} & ignored}


def output_sources(classes: Sequence[str]) -> dict[str, Source]:
    """Return the sources of what a model answers; no classes mean regression."""
    sources: dict[str, Source] = {PREDICTION: OutputSource("prediction")}
    if classes:
        sources[CONFIDENCE] = OutputSource("confidence")
    if len(classes) == 2:
        sources[POSITIVE] = ProbabilitySource(classes[1])
    return sources
