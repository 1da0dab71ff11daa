"""Why a row got its score: what each feature adds, compared with a typical row."""

from functools import cached_property
from math import isnan
from typing import Any

from noria.features.blocks import SparseRow
from noria.features.view import FeatureView
from noria.inference.scoring.scorer import Scorer
from noria.records.bundle import Bundle
from noria.records.prediction import Contribution, Explanation, Row

MAX_CONTRIBUTIONS = 50

_EXACT = {"linear": "exact", "trees": "exact", "kernel": "sampled"}


class Explainer:
    """Explains the scores of one bundle.

    Notes
    -----
    Contributions are Shapley values against one reference row: the training rows' median of each
    number, the most frequent category, no text. Exact for linear models and trees. They are on
    the scale in which the model adds up: calibrated log-odds, a share of trees, or the target's
    unit.
    """

    def __init__(self, bundle: Bundle, view: FeatureView, scorer: Scorer) -> None:
        self._model, self._classes = bundle.model, bundle.classes
        self._reference_row = bundle.reference
        self._view, self._scorer = view, scorer

    @cached_property
    def _reference(self) -> SparseRow:
        return self._view.transform(self._reference_row)

    @cached_property
    def _names(self) -> list[str]:
        return self._view.names()

    def explain(self, inputs: Row, features: SparseRow, best: int, n_shown: int) -> Explanation:
        """Return the explanation of the decided class's score, of `n_shown` features at most."""
        # A binary model has one score, the second class's; the first one's is its opposite.
        is_single = self._model.n_outputs == 1
        output, sign = (
            (0, -1.0 if self._classes and best == 0 else 1.0) if is_single else (best, 1.0)
        )
        factor, offset = self._calibration(best)
        factor *= sign
        shares = self._scorer.contributions(features, self._reference, output)
        largest = sorted(shares, key=lambda i: (-abs(shares[i]), i))
        shown = [i for i in largest if shares[i] != 0.0][:n_shown]
        hidden = set(shares) - set(shown)
        return Explanation(
            of=self._classes[best] if self._classes else "value",
            scale=self.scale,
            method=_EXACT[self._model.form],
            base=factor * self._scorer.scores(self._reference)[output] + sign * offset,
            score=factor * self._scorer.scores(features)[output] + sign * offset,
            contributions=tuple(
                Contribution(self._names[i], self._value(inputs, features, i), factor * shares[i])
                for i in shown
            ),
            rest=factor * sum(shares[i] for i in sorted(hidden)),
        )

    def _value(self, inputs: Row, features: SparseRow, i: int) -> Any:
        """Return what was sent, or the feature's own value; None for a gap."""
        value = inputs.get(self._names[i], features.get(i, 0.0))
        return None if isinstance(value, float) and isnan(value) else value

    def _calibration(self, best: int) -> tuple[float, float]:
        """Return what turns a raw score of the scale into a calibrated one: factor, summand."""
        if self._model.link != "softmax":
            return 1.0, 0.0
        slope, shift = self._model.calibration.slope, self._model.calibration.shift
        if self._model.n_outputs == 1:
            return slope, shift[1] - shift[0]
        return slope, shift[best]

    def shares(self, features: SparseRow, output: int) -> dict[int, float]:
        """Return {feature column: contribution} of one output, for global importance."""
        factor, _ = self._calibration(output)
        shares = self._scorer.contributions(features, self._reference, output)
        return {i: factor * share for i, share in shares.items()}

    @property
    def scale(self) -> str:
        """What contributions are measured in."""
        return {
            "softmax": "log-odds",
            "log_shares": "share of trees",
            "exp": "logarithm of the target",
        }.get(self._model.link, "unit of the target")
