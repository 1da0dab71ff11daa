"""Which scorer a bundle's model names."""

from collections.abc import Callable

from noria.errors import ModelIncompatibleError
from noria.inference.scoring.kernel import KernelScorer
from noria.inference.scoring.linear import LinearScorer
from noria.inference.scoring.links import LINKS
from noria.inference.scoring.scorer import Arrays, Scorer
from noria.inference.scoring.trees import TreeScorer
from noria.records.bundle import Model

SCORERS: dict[str, Callable[[Model, Arrays], Scorer]] = {
    "linear": LinearScorer,
    "kernel": KernelScorer,
    "trees": TreeScorer,
}


def load_scorer(model: Model, arrays: Arrays) -> Scorer:
    """Return the scorer a bundle's model names; ModelIncompatibleError when there is none."""
    if model.form not in SCORERS or model.link not in LINKS:
        raise ModelIncompatibleError(
            f"the bundle needs scorer '{model.form}' and link '{model.link}'; "
            f"this code has {sorted(SCORERS)} and {sorted(LINKS)}"
        )
    return SCORERS[model.form](model, arrays)
