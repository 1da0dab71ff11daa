"""A loaded serving bundle that answers rows: validate, transform, score. Standard library only."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from math import isfinite
from typing import Any

from noria.bundle.format import unpack
from noria.data.targets import TargetReader
from noria.data.values import kind_of, normalized
from noria.errors import InvalidInputError, ModelCorruptError, NoriaError
from noria.features.text_signals import TextObserver
from noria.features.view import FeatureView
from noria.inference.explanation import Explainer
from noria.inference.postprocess import load_postprocess
from noria.inference.scoring.links import LINKS
from noria.inference.scoring.loading import load_scorer
from noria.records.bundle import Bundle, ColumnContract, bundle_from_dict
from noria.records.prediction import Answer, Explanation, Fault, Row, TextSignals

MASK = "***"
MAX_FAULTS = 20  # of one row that are listed: an answer must not be much larger than its request
_SHOWN_NAMES, _SHOWN_CHARACTERS = 10, 40  # of fields that the model does not read


class Predictor:
    """One model version, ready to answer.

    Parameters
    ----------
    files : mapping of name to bytes
        The files of a serving bundle.
    is_verified : bool
        Whether it is known that no table of the bundle leads outside itself.

    Raises
    ------
    ModelCorruptError, ModelIncompatibleError
        The bundle cannot be used.
    """

    def __init__(self, files: Mapping[str, bytes], *, is_verified: bool = False) -> None:
        try:
            document, self.arrays = unpack(files)
            bundle = bundle_from_dict(document)
            self.task, self.algorithm = bundle.task, bundle.algorithm
            self.precision, self.model = bundle.precision, bundle.model
            self.classes, self.columns = list(bundle.classes), bundle.columns
            self.missing = frozenset(bundle.missing)
            self.target = TargetReader(
                self.task, bundle.target, missing=self.missing, classes=self.classes
            )
            self.view = FeatureView(bundle.feature_view)
            self.scorer = load_scorer(self.model, self.arrays)
            self._link = LINKS[self.model.link]
            self.decision = bundle.decision
            self.postprocessing = bundle.postprocess
            self.postprocess = load_postprocess(bundle.postprocess)
            self.explainer = Explainer(bundle, self.view, self.scorer)
            self.observer = TextObserver(bundle.watched)
            self.max_gaps = bundle.max_gaps
            self.private = bundle.private
            self._texts = [n for n, column in self.columns.items() if column.type == "text"]
            if not is_verified:
                self.scorer.check(self.view.width)
            self._try(bundle)
        except NoriaError:
            raise
        # Whatever a bundle does, it is one bundle's fault: another version answers.
        except Exception as error:
            # Its class only: a message may quote a word of a training row.
            name = type(error).__name__
            raise ModelCorruptError(f"the serving bundle cannot be used: {name}") from error

    def answer(self, inputs: Any, *, explain: int = 0, from_file: bool = False) -> Answer:
        """Return the prediction for one row, after checking it.

        Parameters
        ----------
        inputs : JSON value
            Values by column. A gap is filled in as in training, unless its column refuses gaps;
            what the model does not read is ignored. Both are told in warnings.
        from_file : bool
            Whether the row is a file's, whose header was looked at: a request needs the keys of
            required columns.
        explain : int in [0, 50]
            How many of the features that mattered most to name; 0 for none.

        Returns
        -------
        Answer
            With warnings for gaps, ignored fields and numbers outside the range of training.

        Raises
        ------
        InvalidInputError
            Every offending field with its reason, in `errors`.
        """
        given, inputs = inputs, self._normalized(inputs)
        if faults := [*self._faults(inputs, from_file=from_file)]:
            raise _invalid(faults)
        prepared = self.view.prepare(inputs)
        if self.view.is_empty_text(prepared):
            reason = "no words are left after cleaning; send text in the project's language"
            raise _invalid([{"field": name, "reason": reason} for name in self._texts])
        features = self.view.apply(prepared)
        outputs = self._link(self.scorer.scores(features), self.model)
        if not all(map(isfinite, outputs)):
            raise _invalid([{"field": "inputs", "reason": "the numbers are too large to score"}])
        is_regression = self.task == "regression"
        best = 0 if is_regression else self.decide(outputs)
        added = self.postprocess(inputs, outputs)
        why = self.explainer.explain(inputs, features, best, explain) if explain else None
        if not (all(map(_is_finite, added.values())) and (why is None or _is_shown(why))):
            raise _invalid([{"field": "inputs", "reason": "the numbers are too large to explain"}])
        return Answer(
            prediction=outputs[0] if is_regression else self.classes[best],
            confidence=None if is_regression else outputs[best],
            probabilities={} if is_regression else dict(zip(self.classes, outputs, strict=True)),
            added=added,
            warnings=(*self._warnings(inputs), *self._ignored(given)),
            explanation=why,
        )

    def decide(self, outputs: list[float]) -> int:
        """Return the number of the class that probabilities decide for."""
        if self.decision.costs:
            said = range(len(outputs))
            costs = [
                sum(p * row[i] for p, row in zip(outputs, self.decision.costs, strict=True))
                for i in said
            ]
            return min(said, key=costs.__getitem__)
        weighted = [w * p for w, p in zip(self.decision.weights, outputs, strict=True)]
        return max(range(len(weighted)), key=weighted.__getitem__)

    def score(self, row: Row) -> list[float]:
        """Return probabilities by class order, or one value, of a row that needs no checking."""
        return self._outputs(self.view.prepare(row))

    def hides_as_much_as(self, other: "Predictor") -> bool:
        """Return whether nothing is logged of a row that another version keeps to itself."""
        shown = {name for name, column in self.columns.items() if not column.pii}
        hidden = {name for name, column in other.columns.items() if column.pii}
        dropped = {name for name, column in other.columns.items() if column.pii == "drop"}
        kept = {name for name, column in self.columns.items() if column.pii != "drop"}
        return set(self.private) >= set(other.private) and not (shown & hidden or kept & dropped)

    def observed(self, inputs: Row) -> tuple[Row, Mapping[str, TextSignals]]:
        """Return what may be logged of checked inputs: values as read, and signals of texts.

        Personal columns are masked, of them only a text's signals are kept; or dropped whole.
        """
        inputs = self._normalized(inputs)
        shown = {
            name: MASK if self.columns[name].pii and value is not None else value
            for name, value in inputs.items()
            if self.columns[name].pii != "drop"
        }
        return shown, self.observer.observe(inputs)

    def _try(self, bundle: Bundle) -> None:
        """Answer the typical row of training, as a request would be answered."""
        n_outputs = 1 if self.task == "regression" else len(self.classes)
        outputs = self.score(bundle.reference)
        with suppress(InvalidInputError):  # it has no text
            self.answer(bundle.reference, explain=1, from_file=True)
        if len(outputs) != n_outputs or not all(map(isfinite, outputs)):
            raise ModelCorruptError(
                f"the serving bundle answers the typical row with {len(outputs)} outputs, not "
                f"{n_outputs}, or with none that is finite"
            )
        if self.classes:
            self.decide(outputs)

    def _normalized(self, inputs: Any) -> Row:
        """Read the model's columns as training did: blanks, words that mean "missing"."""
        if not isinstance(inputs, Mapping):
            raise _invalid([{"field": "inputs", "reason": "must be a JSON object"}])
        return {
            name: normalized(inputs[name], column.type, self.missing)
            for name, column in self.columns.items()
            if name in inputs
        }

    def _outputs(self, prepared: list[Any]) -> list[float]:
        return self._link(self.scorer.scores(self.view.apply(prepared)), self.model)

    def _faults(self, inputs: Row, *, from_file: bool) -> Iterator[Fault]:
        """Yield the faults of single columns; where there are none, those of the row."""
        faults = [*self._column_faults(inputs, from_file=from_file)]
        return iter(faults) if faults else self._row_faults(inputs)

    def _column_faults(self, inputs: Row, *, from_file: bool) -> Iterator[Fault]:
        for name, column in self.columns.items():
            value = inputs.get(name)
            if value is not None:
                if reason := _FAULTS[column.type](value, column):
                    yield {"field": name, "reason": reason}
            elif column.missing == "refuse":
                yield {"field": name, "reason": "missing, and this column takes no gaps"}
            elif column.required and not from_file and name not in inputs:
                yield {"field": name, "reason": "required, but missing"}

    def _row_faults(self, inputs: Row) -> Iterator[Fault]:
        columns = self.columns.items()
        n_gaps = sum(inputs.get(name) is None and not c.optional for name, c in columns)
        if all(value is None for value in inputs.values()):
            known = _listed(sorted(self.columns))
            yield {"field": "inputs", "reason": f"no value for any column of the model: {known}"}
        elif self._texts and all(inputs.get(name) is None for name in self._texts):
            for name in self._texts:
                yield {"field": name, "reason": "no text; training left such rows out"}
        elif self.max_gaps is not None and n_gaps > self.max_gaps:
            reason = f"{n_gaps} columns have no value; at most {self.max_gaps} may be filled in"
            yield {"field": "inputs", "reason": reason}

    def _warnings(self, inputs: Row) -> Iterator[Fault]:
        for name, column in self.columns.items():
            seen, value = column.seen, inputs.get(name)
            if value is None:
                if not column.optional:
                    yield {"field": name, "reason": "missing; filled in as in training"}
            elif seen and not seen[0] <= value <= seen[1]:
                reason = f"outside the range seen in training, [{seen[0]:g}, {seen[1]:g}]"
                yield {"field": name, "reason": reason}

    def _ignored(self, given: Row) -> Iterator[Fault]:
        """Yield one warning that names the fields that the model does not read."""
        names = [str(name)[:_SHOWN_CHARACTERS] for name in given if name not in self.columns]
        if names:
            reason = f"ignored, the model does not read: {_listed(names)}"
            yield {"field": "inputs", "reason": reason}


def _is_finite(value: Any) -> bool:
    """Return whether a value of an answer is JSON."""
    return not isinstance(value, float) or isfinite(value)


def _is_shown(why: Explanation) -> bool:
    parts = [number for part in why.contributions for number in (part.value, part.contribution)]
    return all(map(_is_finite, (why.base, why.score, why.rest, *parts)))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def _invalid(faults: list[Fault]) -> InvalidInputError:
    """Return the error of a row, of the first faults and the number of the others."""
    n_others = len(faults) - MAX_FAULTS
    if n_others > 0:
        others = {"field": "inputs", "reason": f"{n_others} more fields cannot be read"}
        faults = [*faults[:MAX_FAULTS], others]
    named = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in faults)
    return InvalidInputError(f"the inputs cannot be scored: {named}", errors=faults)


def _number_fault(value: Any, column: ColumnContract) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, got {kind_of(value)}"
    try:
        finite = isfinite(value)
    except OverflowError:  # an integer beyond the range of a double
        finite = False
    if not finite:
        return "must be a finite number"
    low, high = column.min, column.max
    if (low is not None and value < low) or (high is not None and value > high):
        return f"must be between {_bound(low)} and {_bound(high)}"
    return None


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _string_fault(value: Any, column: ColumnContract) -> str | None:
    if not isinstance(value, str):
        return f"must be a string, got {kind_of(value)}"
    if len(value) > column.max_length:
        return f"must have at most {column.max_length} characters, got {len(value)}"
    return None


def _time_fault(value: Any, column: ColumnContract) -> str | None:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return "must be an ISO 8601 time, as 2026-01-31T09:30:00"
    return None


_FAULTS = {
    "number": _number_fault,
    "text": _string_fault,
    "category": _string_fault,
    "time": _time_fault,
}
