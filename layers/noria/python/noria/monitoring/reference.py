"""The reference profile of a model version, and the profiles of what it answered since."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from noria.errors import ModelCorruptError
from noria.evaluation.metrics import Answers
from noria.features.text_signals import TextObserver, watched_words
from noria.monitoring.profiles import (
    KEPT_IN_REFERENCE,
    KEPT_IN_WINDOW,
    ColumnProfile,
    Counts,
    Floats,
    Frame,
    NumberProfile,
    frequent_levels,
    number_edges,
)
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json

PREDICTION, CONFIDENCE, POSITIVE = "(prediction)", "(confidence)", "(positive)"
OUTPUTS = (PREDICTION, CONFIDENCE, POSITIVE)
_TEXT_PARTS = ("characters", "words", "rare", "terms")
_FEW_VALUES = 10  # numbers with at most as many distinct values are compared as levels
_PROBABILITY_EDGES = np.linspace(0.0, 1.0, 201)[1:-1]
_LATENCY_EDGES = np.geomspace(0.05, 30_000.0, 120)  # ms; neighbours differ by 12 %
_N_ERROR_GROUPS = 10
_UNIT = 2.0**-30  # of probabilities that are summed: a thousand-millionth; 2³³ rows fit

Row = Mapping[str, Any]
Records = Sequence[Mapping[str, Any]]  # of the prediction log
Source = tuple[str, ...]  # ("input", column, "number" | "levels" | "few") or ("text", column, part)


@dataclass
class WindowProfile:
    """What is kept of the records that one model version answered in some time."""

    columns: dict[str, ColumnProfile]
    latency: NumberProfile  # ms
    shares: Counts  # sum of p(true class) in `_UNIT` by (class, decided class)
    n_rows: int = 0
    n_failed: int = 0  # requests the version could not answer; another one did

    @property
    def expected(self) -> Floats:
        """Sum of p(true class) by (class, decided class); empty for regression."""
        return np.asarray(self.shares * _UNIT, dtype=np.float64)

    def add(self, other: "WindowProfile") -> None:
        """Take the profile of more records in."""
        for name, column in self.columns.items():
            column.add(other.columns[name])  # type: ignore[arg-type]
        self.latency.add(other.latency)
        self.shares = self.shares + other.shares
        self.n_rows += other.n_rows
        self.n_failed += other.n_failed

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON data, without its frame."""
        return {
            "n_rows": self.n_rows,
            "n_failed": self.n_failed,
            "columns": {name: column.to_dict() for name, column in self.columns.items()},
            "latency": self.latency.to_dict(),
            "shares": self.shares.tolist(),
        }


_NOTHING = WindowProfile({}, NumberProfile.of(_LATENCY_EDGES, ()), np.zeros((0, 0), dtype=np.int64))


@dataclass(frozen=True)
class ErrorModel:
    """How wrong a regression was out of fold, by tenths of its predictions."""

    edges: Floats  # of the predictions, ascending
    squared: Floats  # mean squared error of each group, in the target's unit squared
    absolute: Floats  # mean absolute error
    squared_variance: Floats  # of single squared errors
    absolute_variance: Floats


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

    def empty(self) -> WindowProfile:
        """Return the profile of no records."""
        return self.of(())

    def of(self, records: Records) -> WindowProfile:
        """Return the profile of prediction records of this model version."""
        answered = [record for record in records if record.get("prediction") is not None]
        values = _values(self.sources, answered)
        latencies = [record.get("latency_ms") for record in answered]
        return WindowProfile(
            self.frame.profile(values),
            NumberProfile.of(_LATENCY_EDGES, latencies),
            shares_of(self.classes, *_decided(self.classes, answered)),
            len(answered),
            len(records) - len(answered),
        )

    def of_columns(self, values: Mapping[str, Any], shares: Counts, n_rows: int) -> WindowProfile:
        """Return the profile of answered rows that are there by column.

        Parameters
        ----------
        values : mapping of the frame's columns
            Numbers as an array, levels by how often they occur, terms as lists of places.
        shares : array of shape (n_classes, n_classes)
            Of `shares_of`.

        Notes
        -----
        Such profiles keep as many values as a window does, so that the merged one is the same
        however the rows were cut.
        """
        return WindowProfile(
            self.frame.profile(values, keep=KEPT_IN_WINDOW),
            NumberProfile.of(_LATENCY_EDGES, ()),
            shares,
            n_rows,
        )

    def read(self, data: Mapping[str, Any]) -> WindowProfile:
        """Return the window profile that `WindowProfile.to_dict` wrote."""
        return WindowProfile(
            self.frame.read(data["columns"]),
            NumberProfile.from_dict(_LATENCY_EDGES, data["latency"]),
            _square(data, len(self.classes)),
            data["n_rows"],
            data["n_failed"],
        )

    def to_bytes(self) -> bytes:
        """Return the reference as gzipped JSON."""
        errors = self.errors and {k: v.tolist() for k, v in vars(self.errors).items()}
        document = {
            "frame": self.frame.to_dict(),
            "sources": {name: list(source) for name, source in self.sources.items()},
            "classes": list(self.classes),
            "profile": self.profile.to_dict(),
            "out_of_fold": self.out_of_fold.to_dict(),
            "scores": dict(self.scores),
            "errors": errors,
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
            {name: tuple(source) for name, source in document["sources"].items()},
            tuple(document["classes"]),
            _NOTHING,
            _NOTHING,
            document["scores"],
            errors and ErrorModel(**{k: np.array(v) for k, v in errors.items()}),
        )
        return replace(
            made,
            profile=made.read(document["profile"]),
            out_of_fold=made.read(document["out_of_fold"]),
        )

    def answering(self, records: Records) -> Self:
        """Return the reference with other answers as normal: those of the final model.

        Parameters
        ----------
        records : prediction records
            Answers to rows that the model was not fitted on. Out-of-fold answers will not do:
            they come from models fitted on fewer rows, which are less sure.
        """
        values = _values({n: s for n, s in self.sources.items() if n in OUTPUTS}, records)
        answered = self.frame.profile(values)
        columns = {
            name: _kept(answered[name], values[name]) if name in values else column
            for name, column in self.profile.columns.items()
        }
        return replace(self, profile=replace(self.profile, columns=columns))


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
    answers: Records,
    facts: tuple[Sequence[str], Mapping[str, float], ErrorModel | None],
) -> Reference:
    """Return the reference of a model.

    Parameters
    ----------
    rows : training rows
        Their inputs are what later inputs are compared with. Columns marked `pii` are left out,
        texts apart, of which only signals are kept.
    words : mapping of text column to words
        What `watched` found.
    answers : prediction records
        What the model says of training rows it was not fitted on.
    facts : (classes, out-of-fold scores, error model of a regression)
    """
    classes, scores, errors = facts
    observer = TextObserver(words)
    records = [{"inputs": row, "signals": observer.observe(row)} for row in rows]
    sources = _input_sources(spec, rows)
    values = _values(sources, records)
    shapes: dict[str, tuple[str, Any]] = {}
    for name, source in sources.items():
        known = [value for value in values[name] if value is not None]
        if source[-1] == "terms":
            shapes[name] = ("terms", words[source[1]])
        elif known:
            is_levels = source[-1] in ("levels", "few")
            shapes[name] = (
                ("levels", frequent_levels(known)) if is_levels else ("number", number_edges(known))
            )
    sources = {name: source for name, source in sources.items() if name in shapes}
    outputs = _output_sources(classes)
    values |= (given := _values(outputs, answers))  # until the final model has answered
    shapes[PREDICTION] = (
        ("levels", list(classes)) if classes else ("number", number_edges(given[PREDICTION]))
    )
    for name in set(outputs) - {PREDICTION}:
        shapes[name] = ("number", _PROBABILITY_EDGES)
    frame = Frame(shapes)
    columns = {
        name: _kept(profile, values.get(name, ()))
        for name, profile in frame.profile(values).items()
    }
    nothing = NumberProfile.of(_LATENCY_EDGES, ())
    shares = shares_of(classes, *_decided(classes, answers))
    profile = WindowProfile(columns, nothing, np.zeros_like(shares), len(rows))
    out_of_fold = WindowProfile(frame.profile(given), nothing, shares, len(answers))
    return Reference(frame, sources | outputs, tuple(classes), profile, out_of_fold, scores, errors)


def answer_records(classes: Sequence[str], answers: Answers) -> Iterator[dict[str, Any]]:
    """Yield answers in the shape of prediction records."""
    for number, outputs in enumerate(answers.outputs.tolist()):
        if answers.decided is None:
            yield {"prediction": outputs[0]}
        else:
            place = int(answers.decided[number])
            yield {
                "prediction": classes[place],
                "confidence": outputs[place],
                "probabilities": dict(zip(classes, outputs, strict=True)),
            }


def error_model(truth: Floats, predicted: Floats) -> ErrorModel:
    """Return how wrong out-of-fold predictions were, by tenths of the predictions.

    Parameters
    ----------
    truth, predicted : arrays of shape (n,)
        In the target's unit.
    """
    fractions = np.linspace(0.0, 1.0, _N_ERROR_GROUPS + 1)[1:-1]
    edges = np.unique(np.quantile(predicted, fractions))
    groups = np.searchsorted(edges, predicted, side="right")
    absolute = np.abs(predicted - truth)
    parts = [absolute[groups == g] if np.any(groups == g) else absolute
             for g in range(len(edges) + 1)]  # fmt: skip
    return ErrorModel(
        edges,
        np.array([np.mean(part**2) for part in parts]),
        np.array([np.mean(part) for part in parts]),
        np.array([np.var(part**2) for part in parts]),
        np.array([np.var(part) for part in parts]),
    )


def _input_sources(spec: ProjectSpec, rows: Sequence[Row]) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for name, column in spec.dataset.columns.items():
        if column.pii == "drop":
            continue
        if column.type == "text":
            sources |= {f"{name}: {part}": ("text", name, part) for part in _TEXT_PARTS}
        elif column.type == "category" and not column.pii:
            sources[name] = ("input", name, "levels")
        elif column.type == "number" and not column.pii:
            distinct = {row[name] for row in rows if row[name] is not None}
            sources[name] = ("input", name, "few" if len(distinct) <= _FEW_VALUES else "number")
    ignored = set(spec.monitoring.ignore)
    return {name: s for name, s in sources.items() if not {name, s[1]} & ignored}


def _output_sources(classes: Sequence[str]) -> dict[str, Source]:
    sources: dict[str, Source] = {PREDICTION: ("output", "prediction")}
    if classes:
        sources[CONFIDENCE] = ("output", "confidence")
    if len(classes) == 2:
        sources[POSITIVE] = ("probability", classes[1])
    return sources


def _values(sources: Mapping[str, Source], records: Records) -> dict[str, list[Any]]:
    return {
        name: [_value(record, source) for record in records] for name, source in sources.items()
    }


def _value(record: Mapping[str, Any], source: Source) -> Any:
    kind, name = source[0], source[1]
    if kind == "text":
        return record["signals"].get(name, {}).get(source[2])
    if kind == "output":
        return record[name]
    if kind == "probability":
        return record["probabilities"][name]
    value = record["inputs"].get(name)
    if value is None or source[2] == "levels":
        return value
    return f"{value + 0.0:g}" if source[2] == "few" else value  # zero has no sign


def _kept(profile: ColumnProfile, values: Sequence[Any]) -> ColumnProfile:
    """Keep more values of the reference than of a chunk: tests stay exact for small windows."""
    if isinstance(profile, NumberProfile):
        return NumberProfile.of(profile.edges, values, keep=KEPT_IN_REFERENCE)
    return profile


def shares_of(classes: Sequence[str], outputs: Floats, decided: Counts) -> Counts:
    """Return the sum of each class's probability over the rows decided for each class, in `_UNIT`.

    Parameters
    ----------
    outputs : array of shape (n, n_classes)
        Probabilities.
    decided : array of shape (n,)
        Numbers of the classes decided for.

    Notes
    -----
    Each probability is rounded to the unit, so that sums are exact, whatever their order.
    """
    if not len(classes):
        return np.zeros((0, 0), dtype=np.int64)
    units = np.rint(outputs / _UNIT).astype(np.int64)
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for place in range(len(classes)):
        table[:, place] = units[decided == place].sum(axis=0)
    return table


def _decided(classes: Sequence[str], records: Records) -> tuple[Floats, Counts]:
    """Return the probabilities of records and the numbers of their classes."""
    place = {name: i for i, name in enumerate(classes)}
    rows = records if classes else ()
    outputs = [[record["probabilities"][name] for name in classes] for record in rows]
    decided = [place[record["prediction"]] for record in rows]
    shaped = np.array(outputs, dtype=np.float64).reshape(len(rows), len(classes))
    return shaped, np.array(decided, dtype=np.int64)


def _square(data: Mapping[str, Any], n: int) -> Counts:
    """Return the shares of a profile; earlier versions wrote them as sums of probabilities."""
    units = data["shares"] if "shares" in data else np.rint(np.array(data["expected"]) / _UNIT)
    return np.array(units, dtype=np.int64).reshape(n, n)
