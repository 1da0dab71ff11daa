"""How far back the rows of a split by time reach, and which of them judge."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from noria.data.splits import History, unseen_rows
from noria.data.validation import TARGET
from noria.errors import ModelError, RegistryError, TrainingFailedError
from noria.evaluation.decisions import decide
from noria.evaluation.metrics import Answers, Floats
from noria.inference.loading import load_model_version
from noria.inference.predictor import Predictor
from noria.monitoring.lineage import trained_rows
from noria.monitoring.performance import judged, realised
from noria.monitoring.prediction_log import read_reference
from noria.ports import ArtifactStore
from noria.records.prediction import Row
from noria.spec.model import CandidateSection, ProjectSpec
from noria.spec.section import Task
from noria.training.estimators import fit, raw_scores
from noria.training.fold_features import FoldFeatures, prepared_here

_MOST_ROWS = 20_000  # the newest, that are looked at
_LEAST_ROWS = 300  # that a history may have
_BATCH = 50  # rows: errors of neighbours go together, means of batches hardly do
_CHANGE_Z = 4.5  # of the greatest of all places: by chance in fewer than 1 of 100 searches
_LEAST_SPREAD = 0.05  # of the losses' own
_LEAST_REGIME = 4 * _BATCH
_SEED = 20_263
# Quick learners that tell what a history teaches: one without interactions, one with.
_TREES = CandidateSection(
    name="trees", algorithm="lightgbm", params={"n_estimators": 60, "num_leaves": 15}
)
_LEARNERS: dict[Task, tuple[CandidateSection, CandidateSection]] = {
    "classification": (CandidateSection(name="linear", algorithm="logistic_regression"), _TREES),
    "regression": (CandidateSection(name="linear", algorithm="ridge"), _TREES),
}


def last_change(losses: Floats) -> int:
    """Return after how many rows the newest level of the losses began; 0 if they have one level.

    Parameters
    ----------
    losses : array of shape (n_rows,)
        In time order.

    Notes
    -----
    CUSUM with binary segmentation towards the end: the place with the greatest difference of
    means before and after, in standard errors, splits the rows, then the rows after it [1]_. The
    standard errors are those of means of batches, so that errors that come in runs are no change.
    Each level has at least 200 rows.

    References
    ----------
    .. [1] Page, "Continuous inspection schemes", Biometrika 41 (1954); Vostrikova, "Detecting
       disorder in multidimensional random processes", Soviet Math. Dokl. 24 (1981).

    Examples
    --------
    >>> last_change(np.repeat([0.0, 1.0], 1000))
    1000
    >>> last_change(np.tile([0.0, 1.0], 1000))
    0
    """
    is_known = np.isfinite(losses)
    if not is_known.any():
        return 0
    losses, start = np.where(is_known, losses, losses[is_known].max()), 0
    while (place := _change(losses[start:])) > 0:
        start += place
    return start


def _change(losses: Floats) -> int:
    n = len(losses)
    places = np.arange(_LEAST_REGIME, n - _LEAST_REGIME + 1)
    if not len(places):
        return 0
    sums = np.cumsum(losses)
    before = sums[places - 1] / places
    after = (sums[-1] - sums[places - 1]) / (n - places)
    scale = np.sqrt(1.0 / places + 1.0 / (n - places))
    best = int(np.argmax(np.abs(after - before) / scale))
    place = int(places[best])
    rest = losses - np.where(np.arange(n) < place, before[best], after[best])
    batches = rest[: n // _BATCH * _BATCH].reshape(-1, _BATCH).mean(axis=1)
    # Losses that hardly vary within their levels have no error to speak of.
    spread = max(float(np.sqrt(_BATCH) * batches.std()), _LEAST_SPREAD * float(losses.std()))
    return place if abs(after[best] - before[best]) > _CHANGE_Z * spread * scale[best] else 0


def choose_history(
    spec: ProjectSpec, rows: Sequence[Row], artifacts: ArtifactStore, champion: str | None
) -> History:
    """Return which rows of a split by time train and judge.

    Parameters
    ----------
    rows : sequence of rows
        In time order.
    champion : str or None
        Model version. What it gets wrong on rows that came after its own tells whether the
        relation of inputs and target has changed, and since when.

    Notes
    -----
    Without a champion, or without rows that it has not seen, the newest `split.test_fraction`
    judge and all others train. Where its errors have changed, the same fraction of the rows since
    then judges, so that most of them train; else half of the new rows do, but no more than the
    fraction of all. How far back training reaches is chosen by how well quick models that are
    fitted on the newest half, quarter, … of the rows predict the rows just before the test rows
    [1]_: the longest history within one standard error of the best. Of the test rows only the
    champion's errors are looked at, to find the change.

    References
    ----------
    .. [1] Klinkenberg, Joachims, "Detecting concept drift with support vector machines", ICML
       (2000).
    """
    whole = History(0, round(len(rows) * spec.split.test_fraction))
    if champion is None:
        return whole
    try:
        looked_at = _ChampionOnNewRows(spec, rows, artifacts, champion)
        if looked_at.n_rows < spec.evaluation.min_test_rows:
            return whole
        since = looked_at.n_since_change()
    except (ModelError, RegistryError, LookupError, TypeError, ValueError):
        return whole  # the comparison will say what is wrong with it
    fraction, least = spec.split.test_fraction, spec.evaluation.min_test_rows
    wanted = looked_at.n_rows // 2 if since is None else round(since * fraction)
    n_test = min(max(wanted, least), whole.n_test)
    first_judge = len(rows) - 2 * n_test
    if first_judge < _LEAST_ROWS:
        return History(0, n_test, since)
    lengths = [*_lengths(first_judge, None if since is None else since - 2 * n_test)]
    known = rows[: len(rows) - n_test]
    lengths = [length for length in lengths if _has_all_classes(spec, known, length + n_test)]
    length = _longest_good(spec, known[-_MOST_ROWS:], lengths, n_test)
    return History(first_judge - length, n_test, since)


def _lengths(most: int, since: int | None) -> Iterator[int]:
    """Yield how many rows a history may have: all, those since a change, halves of them."""
    yield most
    length = min(most, _MOST_ROWS)
    if since is not None and _LEAST_ROWS <= since < length:
        yield since
    while length // 2 >= _LEAST_ROWS:
        length //= 2
        yield length


def _has_all_classes(spec: ProjectSpec, rows: Sequence[Row], length: int) -> bool:
    """Return whether the newest rows have enough of each class; a model must not lose one."""
    if spec.project.task == "regression" or length >= len(rows):
        return True
    targets = [row[TARGET] for row in rows]
    newest, least = targets[-length:], spec.target.min_rows_per_class
    return all(newest.count(name) >= least for name in set(targets))


def _longest_good(
    spec: ProjectSpec, rows: Sequence[Row], lengths: Sequence[int], n_judges: int
) -> int:
    """Return the longest history that predicts the last rows about as well as the best one."""
    if len(lengths) == 1:
        return lengths[0]
    probe, n_before = _Probe(spec, rows), len(rows) - n_judges
    losses = [probe.losses(max(n_before - length, 0), n_before) for length in lengths]
    best = min(losses, key=lambda found: float(found.mean()))
    for length, found in sorted(zip(lengths, losses, strict=True), key=lambda one: -one[0]):
        error = float((found - best).std()) / np.sqrt(n_judges)
        if found.mean() - best.mean() <= error:
            return length
    return lengths[0]


class _Probe:
    """Rows in time order, with features for the quick learners."""

    def __init__(self, spec: ProjectSpec, rows: Sequence[Row]) -> None:
        self._task: Task = spec.project.task
        self._features = FoldFeatures(spec, prepared_here(spec, rows))
        targets = [row[TARGET] for row in rows]
        self._classes = [] if self._task == "regression" else sorted(set(targets))
        numbers = {name: number for number, name in enumerate(self._classes)}
        self._targets = np.array(
            [numbers[value] for value in targets] if self._classes else targets,
            dtype=np.int64 if self._classes else np.float64,
        )

    def losses(self, start: int, end: int) -> Floats:
        """Return what the better learner, fitted on rows [start, end), loses on each row after."""
        places = list(range(start, end)), list(range(end, len(self._targets)))
        view, X, later = self._features.of(*places)
        fitted_to, truth = self._targets[start:end], self._targets[end:]
        found = []
        for learner in _LEARNERS[self._task][: 1 if view.is_sparse else 2]:  # trees of words: slow
            try:
                model = fit(learner, self._task, learner.params, (X, fitted_to), seed=_SEED)
                scores = raw_scores(model, later, len(self._classes))
            except TrainingFailedError:  # gaps that only trees take, a single class
                continue
            outputs = softmax(scores, axis=1) if self._classes else scores
            found.append(_losses(truth, outputs))
        if not found:
            return np.full(len(truth), np.inf)
        return min(found, key=lambda losses: float(losses.mean()))


def _losses(truth: Any, outputs: Floats) -> Floats:
    """Return the squared error of each row: of its value, or of its probabilities (Brier)."""
    if outputs.shape[1] == 1:
        return np.asarray((outputs[:, 0] - truth) ** 2)
    hits = np.arange(outputs.shape[1]) == truth[:, None]
    return np.asarray(((outputs - hits) ** 2).sum(axis=1))


class _ChampionOnNewRows:
    """The champion's answers to the newest rows, which came after those it was fitted on."""

    def __init__(
        self, spec: ProjectSpec, rows: Sequence[Row], artifacts: ArtifactStore, champion: str
    ) -> None:
        self._spec = spec
        seen = trained_rows(artifacts, spec.name, champion)
        columns = list(spec.dataset.columns)
        self._rows = unseen_rows(rows, seen, columns, spec.split)[-_MOST_ROWS:]
        self.n_rows = len(self._rows)
        self._predictor = load_model_version(artifacts, spec.name, champion)
        self._reference = read_reference(artifacts, spec.name, champion)

    def n_since_change(self) -> int | None:
        """Return how many rows came since the errors changed; None if they have not.

        All new rows, where the champion is worse on them than it was on its test rows.
        """
        known, truth, answers = self._answered(self._predictor)
        place = last_change(_losses(truth, answers.outputs))
        if place > 0:
            return self.n_rows - known[place]
        metric = self._spec.evaluation.primary_metric
        if metric not in self._reference.tested or len(known) < self._spec.evaluation.min_test_rows:
            return None
        found = realised(metric, self._reference, answers, truth)
        is_worse = judged(found, self._spec.monitoring.max_drop).is_degraded
        return self.n_rows if is_worse else None

    def _answered(self, predictor: Predictor) -> tuple[list[int], Any, Answers]:
        """Return (places, truth, answers) of the rows whose class the champion knows."""
        if not predictor.classes:
            truth = np.array([row[TARGET] for row in self._rows], dtype=np.float64)
            outputs = np.array([predictor.score(row) for row in self._rows])
            return list(range(self.n_rows)), truth, Answers(outputs, None)
        numbers = {name: number for number, name in enumerate(predictor.classes)}
        known = [i for i, row in enumerate(self._rows) if row[TARGET] in numbers]
        truth = np.array([numbers[self._rows[i][TARGET]] for i in known])
        outputs = np.array([predictor.score(self._rows[i]) for i in known])
        outputs = outputs.reshape(-1, len(numbers))
        return known, truth, decide(outputs, predictor.decision)
