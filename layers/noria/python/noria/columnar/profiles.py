"""The window profile of many answered rows, column by column."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from noria.columnar.engine import BatchAnswers
from noria.columnar.kernel import count_words
from noria.columnar.words import Tokens
from noria.features.text_signals import watchable, words_of
from noria.inference.predictor import Predictor
from noria.monitoring.profiles import TermCounts
from noria.monitoring.reference import Reference
from noria.monitoring.sources import (
    InputSource,
    OutputSource,
    ProbabilitySource,
    Source,
    TextPart,
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

    def _signals(self, answers: BatchAnswers) -> dict[TextSource, Any]:
        """Return what is observed of each text column, by source."""
        sources = [s for s in self._reference.sources.values() if isinstance(s, TextSource)]
        seen = {
            name: _text_signals(answers, name, self._predictor.observer.watched[name])
            for name in {source.column for source in sources}
        }
        return {source: seen[source.column][source.part] for source in sources}


def _text_signals(
    answers: BatchAnswers, name: str, places: Mapping[str, int]
) -> dict[TextPart, Any]:
    """Return `noria.features.text_signals.TextObserver.observe` of the answered rows, by part."""
    columns = answers.columns
    sizes = columns.words.sizes[name]
    wanted = np.zeros(columns.n_rows, dtype=bool)
    wanted[answers.places] = True
    wanted &= sizes > 0
    n_words, n_known = np.zeros_like(sizes), np.zeros_like(sizes)
    n_places = 1 + max(places.values(), default=-1)
    counts = np.zeros(n_places, dtype=np.int64)
    tokens = Tokens(watchable, _words_of_each, places, unknown=n_places)
    for stretch in columns.words.stretches:
        here = slice(stretch.start, stretch.stop)
        rows, numbers = columns.words.run(name, stretch).words(tokens)
        found = count_words(rows, numbers, wanted[here], n_places)
        n_words[here], n_known[here] = found.n_words, found.n_known
        counts += found.counts
    n_known, n_words, sizes = n_known[wanted], n_words[wanted], sizes[wanted]
    n, absent = len(sizes), np.full(len(answers.places) - len(sizes), np.nan)
    shares = 1.0 - n_known / np.maximum(n_words, 1)
    return {
        "characters": np.concatenate((sizes, absent)),
        "words": np.concatenate((n_words, absent)),
        "rare": np.concatenate((np.where(n_words > 0, shares, 0.0), absent)),
        "terms": TermCounts(counts, n, len(absent)),
    }


def _words_of_each(texts: Sequence[str]) -> list[list[str]]:
    return [words_of(text) for text in texts]


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
