"""What a model usually answers to rows it has not seen, where it has seen all there are."""

from math import ceil
from typing import Any

import numpy as np

from noria.evaluation.decisions import decide
from noria.evaluation.metrics import Answers, joined
from noria.features.matrix import Matrix
from noria.spec.model import CandidateSection
from noria.spec.section import Task
from noria.training.cross_validation import OutOfFold
from noria.training.estimators import fit, raw_scores

# So many rows are wanted, from at most so many parts of a tenth each.
_ROWS, _TENTHS, _MOST_PARTS = 500, 10, 5


def usual_answers(
    candidate: CandidateSection,
    task: Task,
    held_out: OutOfFold,
    data: tuple[Matrix, Any],
    *,
    n_classes: int,
    seed: int,
    is_log: bool = False,
) -> Answers:
    """Return answers to rows not seen, by models fitted on nine tenths of the rows.

    A refit on all rows has no row left that it has not seen. It is surer than the models of
    cross-validation and than the one that was evaluated, which were fitted on fewer rows, so
    their answers would make all later traffic look like drift. Those of models fitted on a tenth
    less are close to its own.

    Parameters
    ----------
    held_out : OutOfFold
        The parameters, the calibration and the decision of the refit.
    data : (features of shape (n, width), targets of shape (n,))
    n_classes : int
        0 for regression.
    is_log : bool
        Whether models fit the target's logarithm.
    """
    X, y = data
    n_rows = len(y)
    order = np.random.default_rng(seed).permutation(n_rows)
    n_parts = min(max(ceil(_ROWS * _TENTHS / n_rows), 1), _MOST_PARTS)
    parts = []
    for number in range(n_parts):
        is_out = np.zeros(n_rows, dtype=bool)
        is_out[order[number::_TENTHS]] = True
        rows = X[~is_out], y[~is_out]
        model = fit(candidate, task, held_out.params, rows, seed=seed, is_log=is_log)
        raw = raw_scores(model, X[is_out], n_classes)
        if n_classes:
            shares = held_out.calibration.probabilities(raw)
            parts.append(decide(shares, held_out.decision._replace(share=None)))
        else:
            parts.append(Answers(raw, None))
    return joined(parts)
