"""The reference profile of a model version: what later windows are compared with."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from noria.errors import ModelCorruptError
from noria.evaluation.metrics import Answers
from noria.features.text_signals import TextObserver, watched_words
from noria.monitoring.error_model import ErrorModel
from noria.monitoring.profiles import (
    KEPT_IN_REFERENCE,
    KEPT_IN_WINDOW,
    ColumnProfile,
    Counts,
    Frame,
    FrameColumn,
    NumberProfile,
    frequent_levels,
    number_edges,
)
from noria.monitoring.sources import (
    OUTPUTS,
    PREDICTION,
    InputSource,
    Source,
    TextSource,
    input_sources,
    output_sources,
    source_from_list,
    values_of,
)
from noria.monitoring.window import (
    LATENCY_EDGES,
    WindowProfile,
    nothing,
    read_shares,
    shares_of_answers,
)
from noria.records.prediction import Answer, PredictionRecord, Row
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json

_PROBABILITY_EDGES = np.linspace(0.0, 1.0, 201)[1:-1]

Records = Sequence[PredictionRecord]


@dataclass(frozen=True)
class Reference:
    """What a model version was trained on and how it did out of fold."""

    frame: Frame
    sources: Mapping[str, Source]
    classes: tuple[str, ...]  # empty for regression
    profile: WindowProfile  # inputs of the training rows, answers to the test rows
    out_of_fold: WindowProfile  # answers to training rows by models not fitted on them
    scores: Mapping[str, float]  # out of fold, by metric
    errors: ErrorModel | None
    tested: Mapping[str, float]  # the model itself on its test rows, by metric
    n_tested: int = 0  # of those rows; earlier references do not say

    def empty(self) -> WindowProfile:
        """Return the profile of no records."""
        return self.of(())

    def of(self, records: Records) -> WindowProfile:
        """Return the profile of prediction records of this model version."""
        answered = [record for record in records if record.answer is not None]
        latencies = [record.latency_ms for record in answered]
        return WindowProfile(
            self.frame.profile(values_of(self.sources, answered)),
            NumberProfile.of(LATENCY_EDGES, latencies),
            shares_of_answers(self.classes, [r.answer for r in answered if r.answer]),
            len(answered),
            len(records) - len(answered),
        )

    def of_columns(self, values: Mapping[str, Any], shares: Counts, n_rows: int) -> WindowProfile:
        """Return the profile of answered rows that are given by column.

        Parameters
        ----------
        values : mapping of the frame's columns
            Numbers as an array, levels by how often they occur, terms as `TermCounts`.
        shares : array of shape (n_classes, n_classes)
            Of `noria.monitoring.window.shares_of`.

        Notes
        -----
        Such profiles keep as many values as a window does, so that the merged one is the same
        however the rows were cut.
        """
        return WindowProfile(
            self.frame.profile(values, keep=KEPT_IN_WINDOW),
            NumberProfile.of(LATENCY_EDGES, ()),
            shares,
            n_rows,
        )

    def read(self, data: Mapping[str, Any]) -> WindowProfile:
        """Return the window profile that `WindowProfile.to_dict` wrote."""
        return WindowProfile(
            self.frame.read(data["columns"]),
            NumberProfile.from_dict(LATENCY_EDGES, data["latency"]),
            read_shares(data, len(self.classes)),
            data["n_rows"],
            data["n_failed"],
        )

    def to_bytes(self) -> bytes:
        """Return the reference as gzipped JSON."""
        errors = self.errors and {k: v.tolist() for k, v in vars(self.errors).items()}
        document = {
            "frame": self.frame.to_dict(),
            "sources": {name: source.to_list() for name, source in self.sources.items()},
            "classes": list(self.classes),
            "profile": self.profile.to_dict(),
            "out_of_fold": self.out_of_fold.to_dict(),
            "scores": dict(self.scores),
            "errors": errors,
            "tested": dict(self.tested),
            "n_tested": self.n_tested,
        }
        return gzip.compress(canonical_json(document), mtime=0)

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Return the reference that `to_bytes` wrote; ModelCorruptError for anything else."""
        try:
            return cls._read(json.loads(gzip.decompress(body)))
        except (LookupError, TypeError, ValueError, OSError, EOFError) as error:
            raise ModelCorruptError(f"the reference profile lacks a part: {error!r}") from error

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> Self:
        errors = document["errors"]
        made = cls(
            Frame.from_dict(document["frame"]),
            {name: source_from_list(source) for name, source in document["sources"].items()},
            tuple(document["classes"]),
            nothing(),
            nothing(),
            document["scores"],
            errors and ErrorModel(**{k: np.array(v) for k, v in errors.items()}),
            document.get("tested") or document["scores"],  # earlier references have none
            document.get("n_tested", 0),
        )
        return replace(
            made,
            profile=made.read(document["profile"]),
            out_of_fold=made.read(document["out_of_fold"]),
        )

    def answering(self, answers: Sequence[Answer], scores: Mapping[str, float]) -> Self:
        """Return the reference with other answers as normal: those of the final model.

        Parameters
        ----------
        answers : sequence of Answer
            To rows that the model was not fitted on. Out-of-fold answers will not do: they come
            from models fitted on fewer rows, which are less sure.
        scores : mapping
            Of those answers, by metric.
        """
        outputs = {n: s for n, s in self.sources.items() if n in OUTPUTS}
        values = values_of(outputs, as_records(answers))
        answered = self.frame.profile(values)
        columns = {
            name: _kept(answered[name], values[name]) if name in values else column
            for name, column in self.profile.columns.items()
        }
        profile = replace(self.profile, columns=columns)
        return replace(self, profile=profile, tested=dict(scores), n_tested=len(answers))

    def judged_by(self, answers: Sequence[Answer], scores: Mapping[str, float]) -> Self:
        """Return the reference with other out-of-fold answers: those of another decision."""
        outputs = {n: s for n, s in self.sources.items() if n in OUTPUTS}
        columns = self.frame.profile(values_of(outputs, as_records(answers)))
        shares = shares_of_answers(self.classes, answers)
        out_of_fold = replace(self.out_of_fold, columns=columns, shares=shares)
        return replace(self, out_of_fold=out_of_fold, scores=dict(scores))


@dataclass(frozen=True)
class OutOfFoldFacts:
    """What cross-validation says of a model: the base of its reference profile."""

    classes: tuple[str, ...]  # empty for regression
    answers: Sequence[Answer]  # to training rows by models not fitted on them
    scores: Mapping[str, float]  # by metric
    errors: ErrorModel | None = None  # of a regression


def watched(spec: ProjectSpec, rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the watched words of each text column, from training rows."""
    return {
        name: watched_words(row[name] for row in rows if row[name])
        for name, column in spec.dataset.columns.items()
        if column.type == "text" and column.pii != "drop"
    }


def build_reference(
    spec: ProjectSpec,
    rows: Sequence[Row],
    words: Mapping[str, Sequence[str]],
    facts: OutOfFoldFacts,
) -> Reference:
    """Return the reference of a model.

    Parameters
    ----------
    rows : training rows
        Their inputs are what later inputs are compared with. Columns marked `pii` are left out,
        texts apart, of which only signals are kept.
    words : mapping of text column to words
        What `watched` found.
    """
    observer = TextObserver(words)
    records = [
        PredictionRecord("", "", "", inputs=row, signals=observer.observe(row)) for row in rows
    ]
    inputs = input_sources(spec, rows)
    values = values_of(inputs, records)
    shapes = {
        name: shape
        for name, source in inputs.items()
        if (shape := _shape_of(source, values[name], words)) is not None
    }
    outputs = output_sources(facts.classes)
    values |= (given := values_of(outputs, as_records(facts.answers)))
    for name in outputs:
        shapes[name] = FrameColumn("number", _PROBABILITY_EDGES)
    shapes[PREDICTION] = (
        FrameColumn("levels", facts.classes)
        if facts.classes
        else FrameColumn("number", number_edges(given[PREDICTION]))
    )
    frame = Frame(shapes)
    columns = {
        name: _kept(profile, values.get(name, ()))
        for name, profile in frame.profile(values).items()
    }
    none = NumberProfile.of(LATENCY_EDGES, ())
    shares = shares_of_answers(facts.classes, facts.answers)
    profile = WindowProfile(columns, none, np.zeros_like(shares), len(rows))
    out_of_fold = WindowProfile(frame.profile(given), none, shares, len(facts.answers))
    sources: dict[str, Source] = {name: s for name, s in inputs.items() if name in shapes}
    return Reference(
        frame=frame,
        sources=sources | outputs,
        classes=facts.classes,
        profile=profile,
        out_of_fold=out_of_fold,
        scores=facts.scores,
        errors=facts.errors,
        tested=facts.scores,  # until the model itself is tested
    )


def as_answers(classes: Sequence[str], answers: Answers) -> Iterator[Answer]:
    """Yield the rows of a matrix of outputs as single answers."""
    for number, outputs in enumerate(answers.outputs.tolist()):
        if answers.decided is None:
            yield Answer(outputs[0])
        else:
            place = int(answers.decided[number])
            yield Answer(classes[place], outputs[place], dict(zip(classes, outputs, strict=True)))


def as_records(answers: Sequence[Answer]) -> list[PredictionRecord]:
    """Return answers as prediction records without inputs."""
    return [PredictionRecord("", "", "", answer=answer) for answer in answers]


def _shape_of(
    source: InputSource | TextSource, values: Sequence[Any], words: Mapping[str, Sequence[str]]
) -> FrameColumn | None:
    """Return how a column is profiled; None where training has no value of it."""
    if isinstance(source, TextSource) and source.part == "terms":
        return FrameColumn("terms", words[source.column])
    known = [value for value in values if value is not None]
    if not known:
        return None
    if isinstance(source, InputSource) and source.has_levels:
        return FrameColumn("levels", frequent_levels(known))
    return FrameColumn("number", number_edges(known))


def _kept(profile: ColumnProfile, values: Sequence[Any]) -> ColumnProfile:
    """Keep more values of the reference than of a chunk: tests stay exact for small windows."""
    if isinstance(profile, NumberProfile):
        return NumberProfile.of(profile.edges, values, keep=KEPT_IN_REFERENCE)
    return profile
