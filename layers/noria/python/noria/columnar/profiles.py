"""The window profile of many answered rows, column by column."""

from collections import Counter
from typing import Any

import numpy as np

from noria.columnar.engine import BatchAnswers
from noria.inference.predictor import Predictor
from noria.monitoring.reference import Reference
from noria.monitoring.sources import (
    InputSource,
    OutputSource,
    ProbabilitySource,
    Source,
    TextSource,
)
from noria.monitoring.window import WindowProfile, shares_of


class AnswersProfiler:
    """Profiles rows as the log of single requests is profiled, whatever their number.

    Parameters
    ----------
    predictor : Predictor
    reference : Reference
        Of the same model version.
    """

    def __init__(self, predictor: Predictor, reference: Reference) -> None:
        self._predictor, self._reference = predictor, reference

    def of(self, answers: BatchAnswers) -> WindowProfile:
        """Return the profile of the rows that have an answer.

        Profiles of parts merge into that of the whole, to the last bit, however it was cut.
        """
        signals = self._signals(answers)
        values = {
            name: signals[source]
            if isinstance(source, TextSource)
            else self._values(source, answers)
            for name, source in self._reference.sources.items()
        }
        shares = shares_of(self._predictor.classes, answers.outputs, answers.decided)
        return self._reference.of_columns(values, shares, len(answers.places))

    def _values(self, source: Source, answers: BatchAnswers) -> Any:
        """Return the values of a source by column, as `Reference.of_columns` takes them."""
        if isinstance(source, InputSource):
            return _inputs(answers, source)
        classes = self._predictor.classes
        if isinstance(source, ProbabilitySource):
            return answers.outputs[:, classes.index(source.class_name)]
        if self._predictor.task == "regression":
            return answers.outputs[:, 0]
        if isinstance(source, OutputSource) and source.field == "confidence":
            return answers.outputs[np.arange(len(answers.places)), answers.decided]
        counts = np.bincount(answers.decided, minlength=len(classes)).tolist()
        return dict(zip(classes, counts, strict=True))

    def _signals(self, answers: BatchAnswers) -> dict[TextSource, list[Any]]:
        """Return what is observed of each text column, by source."""
        signals: dict[TextSource, list[Any]] = {}
        sources = [s for s in self._reference.sources.values() if isinstance(s, TextSource)]
        for name in {source.column for source in sources}:
            texts = answers.columns.texts[name]
            wanted = [texts[i] for i in answers.places.tolist()]
            seen = self._predictor.observer.observe_many(name, wanted)
            for source in sources:
                if source.column == name:
                    signals[source] = [found and getattr(found, source.part) for found in seen]
        return signals


def _inputs(answers: BatchAnswers, source: InputSource) -> Any:
    columns, places, name = answers.columns, answers.places, source.column
    if source.reading == "levels":
        found = columns.levels[name]
        counts = np.bincount(found.codes[places], minlength=len(found.levels)).tolist()
        counted: Counter[str | None] = Counter()
        for level, n in zip(found.levels, counts, strict=True):  # two cells may be one level
            counted[level] += n
        return counted
    values = columns.numbers[name][places] + 0.0  # zero has no sign
    if source.reading == "number":
        return values
    counted = Counter({None: int(np.isnan(values).sum())})
    for value, n in zip(*np.unique(values[~np.isnan(values)], return_counts=True), strict=True):
        counted[f"{value:g}"] += int(n)
    return counted
