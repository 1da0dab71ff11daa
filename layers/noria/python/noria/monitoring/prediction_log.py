"""The prediction log as monitoring reads it: windows of profiles, and answers joined with labels."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from noria.data.versions import decode_rows
from noria.evaluation.metrics import Answers
from noria.monitoring.baseline import read_baseline
from noria.monitoring.filed_rows import FiledJob, FiledRows, record_number
from noria.monitoring.reference import Reference
from noria.monitoring.window import WindowProfile
from noria.ports import ArtifactStore, SearchableStore
from noria.records.filed_answer import FiledAnswer
from noria.registry.versions import read_files
from noria.storage.hours import hour_name, hours_between
from noria.storage.ids import OLDEST_ANSWER_DAYS, joined_record_id, time_of
from noria.storage.keys import (
    REFERENCE,
    answers_prefix,
    answers_root,
    hour_of_answers,
    is_filed_rows,
    is_of_batch,
    labels_prefix,
    profile_prefix,
)

_IDS = ("prediction_id", "record_id")
_GREATEST = 1e100  # of a labelled value: the sum of many squares stays finite
_SEED = 20_261  # any constant keeps checks repeatable
_MATCHED_WITHIN = timedelta(hours=1)  # an answer leaves the log's buffer within minutes


def read_reference(artifacts: ArtifactStore, project: str, model_version: str) -> Reference:
    """Return the reference profile of a model version, its hash checked."""
    files = read_files(artifacts, project, model_version, (REFERENCE,))
    return Reference.from_bytes(files[REFERENCE])


def usual_reference(
    store: SearchableStore, project: str, model_version: str, *, min_rows: int
) -> Reference:
    """Return a version's reference profile, with the columns of its baseline where there is one."""
    reference = read_reference(store, project, model_version)
    baseline = read_baseline(store, project)
    if baseline is None or baseline.model_version != model_version:
        return reference  # a promotion ends the baseline of the model before
    window = read_window(store, reference, (project, model_version), *baseline.window())
    return replace(reference, profile=window) if window.n_rows >= min_rows else reference


def read_window(
    store: SearchableStore,
    reference: Reference,
    subject: tuple[str, str],
    start: datetime,
    end: datetime,
    *,
    with_batches: bool = True,
) -> WindowProfile:
    """Return the profile of what a model version answered in whole hours that touch [start, end).

    Parameters
    ----------
    subject : (project, model version)
    with_batches : bool
        Whether the rows of files count beside those of requests.

    Notes
    -----
    One object is in memory at a time; the work grows with the chunks of the log, not its rows.
    """
    window = reference.empty()
    for _, chunk in read_chunks(store, reference, subject, start, end, with_batches=with_batches):
        window.add(chunk)
    return window


def read_chunks(
    store: SearchableStore,
    reference: Reference,
    subject: tuple[str, str],
    start: datetime,
    end: datetime,
    *,
    with_batches: bool = True,
) -> Iterator[tuple[str, WindowProfile]]:
    """Yield (hour, profile of a chunk) of what `read_window` adds up, in the hours' order."""
    project, model_version = subject
    for hour in hours_between(start, end):
        for found in store.under(profile_prefix(project, model_version, hour)):
            if with_batches or not is_of_batch(found.key):
                yield hour, reference.read(json.loads(gzip.decompress(store.get(found.key))))


def read_outputs(
    store: SearchableStore,
    subject: tuple[str, str],
    start: datetime,
    end: datetime,
    *,
    most: int,
) -> Any:
    """Return the outputs of a model version's newest answers in whole hours touching [start, end).

    Parameters
    ----------
    subject : (project, model version)
    most : int
        About so many answers are enough: hours are read from the newest on, each whole.

    Returns
    -------
    array of shape (n, n_outputs), or (0, 0)
    """
    project, model_version = subject
    found, n_found = list[Any](), 0
    for hour in reversed([*hours_between(start, end)]):
        if n_found >= most:
            break
        answers = _answers_of(store, project, hour)
        asked = [answer.outputs for answer in answers if answer.model_version == model_version]
        filed = _rows_of(store, project, hour)
        of_files = [rows.outputs for rows in filed if rows.job.model_version == model_version]
        found += [np.array(asked), *of_files] if asked else of_files
        n_found += len(asked) + sum(map(len, of_files))
    return np.concatenate(found) if found else np.zeros((0, 0))


def _answers_of(store: SearchableStore, project: str, hour: str) -> Iterator[FiledAnswer]:
    for item in store.under(answers_prefix(project, hour)):
        if not is_filed_rows(item.key):
            yield from _answers_at(store, item.key)


def _answers_at(store: SearchableStore, key: str) -> Iterator[FiledAnswer]:
    for row in decode_rows(store.get(key)):
        yield FiledAnswer(**{**row, "outputs": tuple(row["outputs"])})


def _rows_of(store: SearchableStore, project: str, hour: str) -> Iterator[FiledRows]:
    """Yield the answers to the rows of files, a part of a file at a time."""
    for item in store.under(answers_prefix(project, hour)):
        if is_filed_rows(item.key):
            yield FiledRows.from_bytes(store.get(item.key))


@dataclass(frozen=True)
class KnownAnswer:
    """An answer of the log, whoever asked for it."""

    at: datetime | None  # None: its id tells no time
    model_version: str
    prediction: str | float
    outputs: tuple[float, ...]  # probabilities in the order of the classes, or the one value
    job: FiledJob | None = None  # of a batch
    line: int | None = None  # of its file
    prediction_id: str | None = None  # of a request


def answers_to(
    store: SearchableStore, project: str, record_id: str, start: datetime, end: datetime
) -> Iterator[KnownAnswer]:
    """Yield what was said of a record in whole hours that touch [start, end), oldest first."""
    number, unit = record_number(project, record_id), joined_record_id(project, record_id)
    hours = set(hours_between(start, end))
    for item in store.under(answers_root(project)):
        if hour_of_answers(item.key) not in hours:
            continue
        if is_filed_rows(item.key):
            rows = FiledRows.from_bytes(store.get(item.key))
            yield from _of_file(rows, rows.named(number))
            continue
        for answer in _answers_at(store, item.key):
            if answer.record_id and joined_record_id(project, answer.record_id) == unit:
                yield _of_request(answer)


def _of_request(answer: FiledAnswer) -> KnownAnswer:
    return KnownAnswer(
        at=time_of(answer.prediction_id),
        model_version=answer.model_version,
        prediction=answer.prediction,
        outputs=answer.outputs,
        prediction_id=answer.prediction_id,
    )


def _of_file(rows: FiledRows, wanted: Any) -> Iterator[KnownAnswer]:
    found, at = rows.at_rows(wanted), datetime.fromisoformat(rows.job.at)
    for place, (line, outputs) in enumerate(
        zip(found.lines.tolist(), found.outputs.tolist(), strict=True)
    ):
        yield KnownAnswer(
            at=at,
            model_version=rows.job.model_version,
            prediction=found.prediction(place),
            outputs=tuple(outputs),
            job=rows.job,
            line=line,
        )


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
        labels = self._labels(start, end)
        oldest = end - timedelta(days=OLDEST_ANSWER_DAYS)
        hours = {hour for kind, key in labels for hour in _hours_of(kind, key, oldest, end)}
        self._by_number = {  # labels of records, as the rows of files know them
            record_number(project, key): key for kind, key in labels if kind == "record_id"
        }
        if self._by_number:
            hours |= set(hours_between(end - timedelta(days=record_id_days), end))
        hours |= set(hours_between(start, end))  # answers that carry their label
        self._joined = self._join(labels, sorted(hours), hour_name(start))
        late = (end - _MATCHED_WITHIN).isoformat()
        left = [at for key, (at, _) in labels.items() if key not in self._matched]
        self.n_unmatched = sum(at <= late for at in left)
        self.n_waiting = len(left) - self.n_unmatched

    @property
    def jobs(self) -> list[FiledJob]:
        """The batch jobs that labels are of, oldest first."""
        return sorted(
            {a.job for a, _ in self._joined if a.job}, key=lambda job: (job.at, job.job_id)
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
            Only answers of this batch job.
        """
        mine = [
            (answer, label)
            for answer, label in self._joined
            if answer.model_version == model_version
            and (since is None or (answer.at is not None and answer.at >= since))
            and job in (None, answer.job)
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

    def _labels(self, start: datetime, end: datetime) -> dict[tuple[str, str], tuple[str, Any]]:
        """Return {(kind of id, id): (when it came, label)}, the latest of each."""
        found: dict[tuple[str, str], tuple[str, Any]] = {}
        for hour in hours_between(start, end):
            for item in self._store.under(labels_prefix(self._project, hour)):
                document = json.loads(self._store.get(item.key))
                for label in document["labels"]:
                    kind = next(name for name in _IDS if name in label)
                    key, at = (kind, self._joined_id(kind, label[kind])), document["at"]
                    if key not in found or found[key][0] <= at:
                        found[key] = (at, label["label"])
        return found

    def _join(
        self, labels: Mapping[tuple[str, str], tuple[str, Any]], hours: list[str], first: str
    ) -> list[tuple[KnownAnswer, Any]]:
        self._matched: set[tuple[str, str]] = set()
        joined: dict[tuple[str, str], tuple[KnownAnswer, Any]] = {}
        for hour in hours:
            for answer in _answers_of(self._store, self._project, hour):
                label = answer.true_label if hour >= first else None
                unit = answer.prediction_id
                for kind in _IDS:
                    if not (found := getattr(answer, kind)):
                        continue
                    key = (kind, unit := self._joined_id(kind, found))
                    if key in labels:
                        self._matched.add(key)
                        label = labels[key][1]
                if label is not None:
                    joined[unit, answer.model_version] = (_of_request(answer), label)
            for unit, known in self._labelled_rows(hour):
                self._matched.add(("record_id", unit))
                joined[unit, known.model_version] = (known, labels["record_id", unit][1])
        return list(joined.values())

    def _labelled_rows(self, hour: str) -> Iterator[tuple[str, KnownAnswer]]:
        """Yield the answers of files to records that have a label, with their joined ids."""
        if not self._by_number or not self._with_batches:
            return
        wanted = np.array(list(self._by_number), dtype=np.uint64)
        for rows in _rows_of(self._store, self._project, hour):
            is_wanted = np.isin(rows.numbers, wanted)
            is_labelled = np.any(is_wanted, axis=1)
            columns = np.argmax(is_wanted[is_labelled], axis=1)[:, np.newaxis]
            numbers = np.take_along_axis(rows.numbers[is_labelled], columns, axis=1)[:, 0]
            for number, known in zip(numbers.tolist(), _of_file(rows, is_labelled), strict=True):
                yield self._by_number[number], known

    def _joined_id(self, kind: str, found: str) -> str:
        """Return an id as answers and labels are joined by it, hashed or not."""
        return joined_record_id(self._project, found) if kind == "record_id" else found


def _hours_of(kind: str, key: str, oldest: datetime, end: datetime) -> list[str]:
    """Return the hour that a prediction id tells; none for an id that Noria cannot have made."""
    at = time_of(key) if kind == "prediction_id" else None
    return [hour_name(at)] if at and oldest <= at <= end else []


def _is_number(label: Any) -> bool:
    """Return whether sums of the label's squares stay numbers: one must not stop a check."""
    try:
        return abs(float(label)) <= _GREATEST
    except (TypeError, ValueError, OverflowError):
        return False
