"""Which scorer a bundle's model names; a cold start of predict imports that one only."""

from collections.abc import Callable

from noria.errors import ModelIncompatibleError
from noria.inference.scoring.links import LINKS
from noria.inference.scoring.scorer import Arrays, Scorer
from noria.records.bundle import Model


def _linear(model: Model, arrays: Arrays) -> Scorer:
    from noria.inference.scoring.linear import LinearScorer

    return LinearScorer(model, arrays)


def _kernel(model: Model, arrays: Arrays) -> Scorer:
    from noria.inference.scoring.kernel import KernelScorer

    return KernelScorer(model, arrays)


def _trees(model: Model, arrays: Arrays) -> Scorer:
    from noria.inference.scoring.trees import TreeScorer

    return TreeScorer(model, arrays)


SCORERS: dict[str, Callable[[Model, Arrays], Scorer]] = {
    "linear": _linear,
    "kernel": _kernel,
    "trees": _trees,
}


def load_scorer(model: Model, arrays: Arrays) -> Scorer:
    """Return the scorer a bundle's model names; ModelIncompatibleError when there is none."""
    if model.form not in SCORERS or model.link not in LINKS:
        raise ModelIncompatibleError(
            f"the bundle needs scorer '{model.form}' and link '{model.link}'; "
            f"this code has {sorted(SCORERS)} and {sorted(LINKS)}"
        )
    return SCORERS[model.form](model, arrays)
