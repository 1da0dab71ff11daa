"""One answered request: what predict answers and logs, and what monitoring reads again.

Named tuples, written by hand to and from JSON: predict does so for every request, and its cold
start imports no `dataclasses`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

ServedBy = Literal["champion", "challenger", "shadow"]
Row = Mapping[str, Any]  # values of one row by column: the columns are the project's
Fault = dict[str, str]  # {"field": …, "reason": …}: what is wrong with one field of a request
_NOTHING: Mapping[str, Any] = MappingProxyType({})  # a default that cannot be filled


class TextSignals(NamedTuple):
    """What is kept of a text instead of the text."""

    characters: int
    words: int
    rare: float  # fraction of the words that are not watched, in [0, 1]
    terms: tuple[int, ...]  # places of the watched words that occur, ascending

    def to_dict(self) -> dict[str, object]:
        """Return the signals as JSON data."""
        return {**self._asdict(), "terms": list(self.terms)}


class Contribution(NamedTuple):
    """What one feature adds to a score."""

    feature: str
    value: Any  # what was sent, or the feature's own value; None for a gap
    contribution: float  # on the explanation's scale


class Explanation(NamedTuple):
    """Why a row got its score, against a typical row: base + contributions + rest = score."""

    of: str  # the class, or "value"
    scale: str  # what contributions are measured in
    method: str  # "exact" or "sampled"
    base: float  # score of the typical row
    score: float
    contributions: tuple[Contribution, ...]  # the largest first
    rest: float  # sum of the contributions that are not listed

    def to_dict(self) -> dict[str, object]:
        """Return the explanation as JSON data."""
        return {**self._asdict(), "contributions": [part._asdict() for part in self.contributions]}


class Answer(NamedTuple):
    """What a model says about one row."""

    prediction: str | float  # class, or value in the target's unit
    confidence: float | None = None  # probability of the predicted class; None for regression
    probabilities: Mapping[str, float] = _NOTHING  # empty for regression
    added: Mapping[str, float | str | None] = _NOTHING  # by the postprocessor
    warnings: tuple[Fault, ...] = ()
    explanation: Explanation | None = None

    @property
    def outputs(self) -> list[float]:
        """Probabilities in the order of the classes, or the one value."""
        return list(self.probabilities.values()) or [float(self.prediction)]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as the API shows it; what is not there is left out."""
        shown: dict[str, Any] = {"prediction": self.prediction}
        if self.confidence is None:
            shown["value"] = self.prediction
        else:
            shown |= {"confidence": self.confidence, "probabilities": dict(self.probabilities)}
        shown |= self.added
        if self.warnings:
            shown["warnings"] = list(self.warnings)
        if self.explanation is not None:
            shown["explanation"] = self.explanation.to_dict()
        return shown


class PredictionRecord(NamedTuple):
    """One model version's look at one row, as the prediction log holds it."""

    prediction_id: str
    model_version: str
    at: str  # UTC, ISO 8601
    served_by: ServedBy = "champion"
    answer: Answer | None = None  # None: the version could not answer
    failure: str | None = None  # why not
    project: str = ""
    latency_ms: float | None = None
    record_id: str | None = None
    true_label: str | float | None = None  # where the request carried it
    inputs: Row = _NOTHING  # personal columns masked or dropped
    signals: Mapping[str, TextSignals] = _NOTHING  # by text column
    inputs_hash: str = ""  # of the inputs as they are shown

    def to_dict(self) -> dict[str, Any]:
        """Return the record as a line of the log; an explanation is not kept.

        An explanation quotes the inputs, and can be computed again.
        """
        line: dict[str, Any] = {
            "prediction_id": self.prediction_id,
            "model_version": self.model_version,
            "at": self.at,
            "served_by": self.served_by,
        }
        if self.answer is None:
            return line | {"prediction": None, "failure": self.failure}
        line |= self.answer.to_dict()
        line.pop("explanation", None)
        line |= {"project": self.project, "latency_ms": self.latency_ms}
        for name, value in (("record_id", self.record_id), ("true_label", self.true_label)):
            if value is not None:
                line[name] = value
        signals = {column: signal.to_dict() for column, signal in self.signals.items()}
        return line | {"inputs": self.inputs, "signals": signals, "inputs_hash": self.inputs_hash}


def record_from_dict(line: Mapping[str, Any]) -> PredictionRecord:
    """Return the record of a line of the log, without warnings and what postprocessors added.

    Raises
    ------
    LookupError, TypeError, ValueError
        It is no such line.
    """
    answer = None
    if line["prediction"] is not None:
        answer = Answer(
            prediction=line["prediction"],
            confidence=line.get("confidence"),
            probabilities=line.get("probabilities") or {},
        )
    return PredictionRecord(
        prediction_id=line["prediction_id"],
        model_version=line["model_version"],
        at=line["at"],
        served_by=line.get("served_by", "champion"),
        answer=answer,
        failure=line.get("failure"),
        project=line.get("project", ""),
        latency_ms=line.get("latency_ms"),
        record_id=line.get("record_id"),
        true_label=line.get("true_label"),
        inputs=line.get("inputs") or {},
        signals={
            column: TextSignals(**{**signal, "terms": tuple(signal["terms"])})
            for column, signal in (line.get("signals") or {}).items()
        },
        inputs_hash=line.get("inputs_hash", ""),
    )
