"""Answers of the log joined with the labels that came, of requests and of the rows of files."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from noria.data.labels import ID_COLUMN, ID_KINDS
from noria.evaluation.metrics import Answers
from noria.monitoring.filed_rows import FiledJob, FiledRows, numbers_of, record_number
from noria.monitoring.prediction_log import KnownAnswer, answers_at, of_file, of_request
from noria.monitoring.reference import Reference
from noria.ports import SearchableStore
from noria.storage.hours import hour_name, hours_between
from noria.storage.ids import OLDEST_ANSWER_DAYS, joined_record_id, time_of
from noria.storage.keys import answers_prefix, is_filed_rows, labels_prefix

_GREATEST = 1e100  # of a labelled value: the sum of many squares stays finite
_SEED = 20_261  # any constant keeps checks repeatable
_MATCHED_WITHIN = timedelta(hours=1)  # an answer leaves the log's buffer within minutes


class _Key(NamedTuple):
    """What a label is of."""

    kind: str  # of id
    unit: str  # the id, as answers and labels are joined by it
    column: str | None  # of a file, that the id stands in; None: any


class _Label(NamedTuple):
    """The latest label of an id, or one that came with its request."""

    at: str  # when it came
    label: Any
    given_id: str = ""  # hashed or not, as it came


class LabelledPair(NamedTuple):
    """What two model versions said of the same request, or of the same row of a file."""

    champion: KnownAnswer
    previous: KnownAnswer
    label: Any
    came_at: str  # the label: UTC, ISO 8601; with the request where that carried it


class Outcomes(NamedTuple):
    """Labelled answers of one model version."""

    answers: Answers
    truth: Any  # class numbers or values, shape (n,)
    # Labels of classes that the model does not know, or no numbers; they are not in `truth`.
    n_unknown: int

    @property
    def n(self) -> int:
        """Number of labelled answers."""
        return len(self.truth)

    def sampled(self, most: int) -> "Outcomes":
        """Return these, or as many as `most` of them, each with the same chance; seeded."""
        if self.n <= most:
            return self
        rows = np.sort(np.random.default_rng(_SEED).choice(self.n, most, replace=False))
        return Outcomes(self.answers.at(rows), self.truth[rows], self.n_unknown)


class LabelledLog:
    """The labels that came in some time, each joined with its answer, whenever that was given.

    Parameters
    ----------
    start, end : datetime
        Labels that came in whole hours touching [start, end) count.
    record_id_days : int
        How far before `end` answers are looked for by record id, which tells no time.
    with_batches : bool
        Whether answers to the rows of files count beside those to requests.

    Notes
    -----
    Of several labels for one id the latest counts; of several answers to one record the latest.
    Labels whose answer is not in the log yet stay for the next look; those that have found none
    an hour after they came are counted as unmatched.

    Attributes
    ----------
    n_unmatched : int
        Labels that came more than an hour before `end` and belong to no answer.
    n_waiting : int
        Later labels without an answer yet.
    """

    def __init__(
        self,
        store: SearchableStore,
        project: str,
        window: tuple[datetime, datetime],
        *,
        record_id_days: int,
        with_batches: bool = True,
    ) -> None:
        self._store, self._project, self._with_batches = store, project, with_batches
        start, end = window
        self._known, self._matched = self._labels(start, end), set[_Key]()
        self._by_unit: dict[tuple[str, str], list[_Key]] = defaultdict(list)
        self._by_number: dict[int, list[_Key]] = defaultdict(list)  # as the rows of files know them
        for key, known in self._known.items():
            self._by_unit[key.kind, key.unit].append(key)
            if key.kind == "record_id":
                for number in numbers_of(project, known.given_id):
                    self._by_number[number].append(key)
        oldest = end - timedelta(days=OLDEST_ANSWER_DAYS)
        hours = {hour for key in self._known for hour in _hours_of(key, oldest, end)}
        if self._by_number:
            hours |= set(hours_between(end - timedelta(days=record_id_days), end))
        hours |= set(hours_between(start, end))  # answers that carry their label
        self._joined = self._join(sorted(hours), hour_name(start))
        late = (end - _MATCHED_WITHIN).isoformat()
        left = [known.at for key, known in self._known.items() if key not in self._matched]
        self.n_unmatched = sum(at <= late for at in left)
        self.n_waiting = len(left) - self.n_unmatched

    @property
    def jobs(self) -> list[FiledJob]:
        """The batch jobs that labels are of, oldest first."""
        return sorted(
            {a.job for a, _ in self._joined.values() if a.job and not a.job.is_shadow},
            key=lambda job: (job.at, job.job_id),
        )

    def of(
        self,
        reference: Reference,
        model_version: str,
        since: datetime | None = None,
        *,
        job: FiledJob | None = None,
    ) -> Outcomes:
        """Return the labelled answers of one version; a failure to answer is none.

        Parameters
        ----------
        since : datetime or None
            Only answers that were given from then on.
        job : FiledJob or None
            Only answers of this batch job; else those of all requests, and of files that are
            evidence.
        """
        mine = [
            (answer, label.label)
            for answer, label in self._joined.values()
            if answer.model_version == model_version
            and (since is None or (answer.at is not None and answer.at >= since))
            and _counts(answer, job)
        ]
        if not reference.classes:
            values = [(a.outputs, float(label)) for a, label in mine if _is_number(label)]
            outputs = np.array([o for o, _ in values], dtype=np.float64).reshape(-1, 1)
            truth = np.array([t for _, t in values], dtype=np.float64)
            return Outcomes(Answers(outputs, None), truth, len(mine) - len(values))
        place = {name: number for number, name in enumerate(reference.classes)}
        known = [(a, place[str(label)]) for a, label in mine if str(label) in place]
        outputs = np.array([a.outputs for a, _ in known], dtype=np.float64)
        decided = np.array([place[str(a.prediction)] for a, _ in known], dtype=np.int64)
        truth = np.array([number for _, number in known], dtype=np.int64)
        answers = Answers(outputs.reshape(-1, len(place)), decided)
        return Outcomes(answers, truth, len(mine) - len(known))

    def pairs(self, versions: tuple[str, str], since: datetime) -> list[LabelledPair]:
        """Return the labelled rows that two versions answered, in the order the labels came in.

        Later labels come after those of an earlier look, whatever they are about.

        Parameters
        ----------
        versions : (champion, champion before)
        since : datetime
            Only rows that were answered from then on.
        """
        champion, previous = versions
        found = []
        for (about, version), (answer, label) in self._joined.items():
            other = self._joined.get((about, previous)) if version == champion else None
            if other is None or not _is_same(answer, other[0]) or answer.time < since:
                continue
            if _counts(answer, None) and _is_readable(label.label, answer):
                found.append(LabelledPair(answer, other[0], label.label, label.at))
        return sorted(found, key=_arrival)

    def _labels(self, start: datetime, end: datetime) -> dict[_Key, _Label]:
        """Return {what a label is of: the latest one}."""
        found: dict[_Key, _Label] = {}
        for hour in hours_between(start, end):
            for item in self._store.under(labels_prefix(self._project, hour)):
                document = json.loads(self._store.get(item.key))
                for label in document["labels"]:
                    kind = next(name for name in ID_KINDS if name in label)
                    unit = self._joined_id(kind, label[kind])
                    key, at = _Key(kind, unit, label.get(ID_COLUMN)), document["at"]
                    if key not in found or found[key].at <= at:
                        found[key] = _Label(at, label["label"], label[kind])
        return found

    def _join(
        self, hours: list[str], first: str
    ) -> dict[tuple[Any, str], tuple[KnownAnswer, _Label]]:
        """Return {(what it is about, model version): (its latest answer, label)}."""
        joined: dict[tuple[Any, str], tuple[KnownAnswer, _Label]] = {}
        for hour in hours:
            for item in self._store.under(answers_prefix(self._project, hour)):
                labelled = (
                    self._labelled_rows(item.key)
                    if is_filed_rows(item.key)
                    else self._labelled_requests(item.key, carries_labels=hour >= first)
                )
                for unit, known, label in labelled:
                    before = joined.get((unit, known.model_version))
                    if before is None or before[0].time <= known.time:
                        joined[unit, known.model_version] = (known, label)
        return joined

    def _labelled_requests(
        self, key: str, *, carries_labels: bool
    ) -> Iterator[tuple[Any, KnownAnswer, _Label]]:
        """Yield (what it is about, answer, label) of the answers to requests in one object."""
        for answer in answers_at(self._store, key):
            keys, unit = list[_Key](), answer.prediction_id
            for kind in ID_KINDS:
                if found := getattr(answer, kind):
                    unit = self._joined_id(kind, found)
                    keys += self._by_unit.get((kind, unit), ())
            known, label = of_request(answer), None
            if keys:
                label = self._latest(keys)
            elif carries_labels and answer.true_label is not None:
                label = _Label(known.time.isoformat(), answer.true_label)
            if label is not None:
                about = record_number(answer.record_id) if answer.record_id else unit
                yield about, known, label

    def _labelled_rows(self, key: str) -> Iterator[tuple[Any, KnownAnswer, _Label]]:
        """Yield (what it is about, answer, label) of the labelled rows in one object."""
        if not self._by_number or not self._with_batches:
            return
        rows = FiledRows.from_bytes(self._store.get(key))
        wanted = np.array(list(self._by_number), dtype=np.uint64)
        rows = rows.at_rows(np.any(np.isin(rows.numbers, wanted), axis=1))
        for numbers, known in zip(rows.numbers.tolist(), of_file(rows, slice(None)), strict=True):
            keys = [
                key
                for column, number in zip(rows.id_columns, numbers, strict=True)
                for key in self._by_number.get(number, ())
                if key.column in (None, column)
            ]
            if keys:
                yield next(filter(None, numbers)), known, self._latest(keys)

    def _latest(self, keys: list[_Key]) -> _Label:
        """Return the latest of the labels of one answer; all of them have found theirs."""
        self._matched.update(keys)
        return max((self._known[key] for key in keys), key=lambda known: known.at)

    def _joined_id(self, kind: str, found: str) -> str:
        """Return an id as answers and labels are joined by it, hashed or not."""
        return joined_record_id(self._project, found) if kind == "record_id" else found


def _counts(answer: KnownAnswer, job: FiledJob | None) -> bool:
    if job is not None:
        return answer.job == job
    return answer.job is None or answer.job.is_evidence


def _arrival(pair: LabelledPair) -> tuple[str, datetime, str, int]:
    answer = pair.champion
    return pair.came_at, answer.time, answer.prediction_id or "", answer.line or 0


def _is_same(one: KnownAnswer, other: KnownAnswer) -> bool:
    """Return whether two answers are to the same request, or to the same row of the same file."""
    if one.job is None or other.job is None:
        return one.prediction_id is not None and one.prediction_id == other.prediction_id
    return (one.job.job_id, one.line) == (other.job.job_id, other.line)


def _is_readable(label: Any, answer: KnownAnswer) -> bool:
    """Return whether a label is of the task: a value of a regression must be a number."""
    return isinstance(answer.prediction, str) or _is_number(label)


def _hours_of(key: _Key, oldest: datetime, end: datetime) -> list[str]:
    """Return the hour that a prediction id tells; none for an id that Noria cannot have made."""
    at = time_of(key.unit) if key.kind == "prediction_id" else None
    return [hour_name(at)] if at and oldest <= at <= end else []


def _is_number(label: Any) -> bool:
    """Return whether sums of the label's squares stay numbers: one must not stop a check."""
    try:
        return abs(float(label)) <= _GREATEST
    except (TypeError, ValueError, OverflowError):
        return False
