"""What a training run has evaluated and decided, read again by its later steps."""

from io import BytesIO
from typing import Any

import numpy as np

from noria.evaluation.metrics import Answers
from noria.ports import ArtifactStore
from noria.records.codec import from_bytes
from noria.records.evaluation import Evaluation, PromotionDecision
from noria.records.training import Selection
from noria.storage.keys import DECISION, EVALUATION, NO_RESULT, SELECTION, run_key


def read_evaluation(artifacts: ArtifactStore, project: str, run_id: str) -> Evaluation:
    """Return the evaluation of a run."""
    return from_bytes(Evaluation, artifacts.get(run_key(project, run_id, EVALUATION)))


def read_selection(artifacts: ArtifactStore, project: str, run_id: str) -> Selection:
    """Return the candidates of a run and the chosen one."""
    return from_bytes(Selection, artifacts.get(run_key(project, run_id, SELECTION)))


def read_decision(artifacts: ArtifactStore, project: str, run_id: str) -> PromotionDecision:
    """Return what the gate decided about a run."""
    return from_bytes(PromotionDecision, artifacts.get(run_key(project, run_id, DECISION)))


def finished[T](kind: type[T], artifacts: ArtifactStore, key: str) -> T | None:
    """Return a record that an attempt wrote last; None where there is none, or it was made void."""
    try:
        body = artifacts.get(key)
    except KeyError:
        return None
    return None if body == NO_RESULT else from_bytes(kind, body)


def packed_answers(answers: Answers, **more: Any) -> bytes:
    """Return answers as an .npz file: `outputs`, `decided` of classes, and other arrays by name."""
    decided = {} if answers.decided is None else {"decided": answers.decided}
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, outputs=answers.outputs, **decided, **more)
    return buffer.getvalue()
