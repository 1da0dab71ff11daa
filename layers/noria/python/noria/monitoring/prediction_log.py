"""The prediction log as monitoring reads it: windows of profiles, and answers."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from noria.data.versions import decode_rows
from noria.monitoring.baseline import read_baseline
from noria.monitoring.filed_rows import FiledJob, FiledRows, numbers_of
from noria.monitoring.reference import Reference
from noria.monitoring.window import WindowProfile
from noria.ports import ArtifactStore, SearchableStore
from noria.records.filed_answer import FiledAnswer
from noria.records.performance import LastAnswer
from noria.registry.versions import read_files
from noria.storage.hours import hours_between
from noria.storage.ids import joined_record_id, time_of
from noria.storage.keys import (
    REFERENCE,
    answers_prefix,
    answers_root,
    hour_of_answers,
    is_filed_rows,
    is_of_batch,
    profile_prefix,
)

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


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
        for item in store.under(answers_prefix(project, hour)):
            outputs = (
                _outputs_of_rows(FiledRows.from_bytes(store.get(item.key)), model_version)
                if is_filed_rows(item.key)
                else _outputs_of_requests(answers_at(store, item.key), model_version)
            )
            if len(outputs):
                found.append(outputs)
                n_found += len(outputs)
    return np.concatenate(found) if found else np.zeros((0, 0))


def last_answers(
    store: SearchableStore,
    subject: tuple[str, str],
    start: datetime,
    end: datetime,
    *,
    most: int = 10,
) -> tuple[LastAnswer, ...]:
    """Return a model version's newest answers to requests, the newest first; as `read_outputs`."""
    project, model_version = subject
    found = list[FiledAnswer]()
    for hour in reversed([*hours_between(start, end)]):
        if len(found) >= most:
            break
        for item in store.under(answers_prefix(project, hour)):
            if not is_filed_rows(item.key):
                answers = answers_at(store, item.key)
                found += [a for a in answers if a.model_version == model_version]
    timed = [(at, a) for a in found if (at := time_of(a.prediction_id))]
    newest = sorted(timed, key=lambda pair: (pair[0], pair[1].prediction_id))[-most:]
    return tuple(
        LastAnswer(
            at=at.isoformat(),
            prediction=answer.prediction,
            confidence=max(answer.outputs) if isinstance(answer.prediction, str) else None,
            latency_ms=answer.latency_ms,
        )
        for at, answer in reversed(newest)
    )


def _outputs_of_requests(answers: Iterator[FiledAnswer], model_version: str) -> Any:
    return np.array([a.outputs for a in answers if a.model_version == model_version])


def _outputs_of_rows(rows: FiledRows, model_version: str) -> Any:
    """Return outputs that are evidence; of corrected ones shares were estimated already."""
    job = rows.job
    counts = job.model_version == model_version and job.is_evidence and not job.is_corrected
    return rows.outputs if counts else ()


def answers_at(store: SearchableStore, key: str) -> Iterator[FiledAnswer]:
    """Yield the answers to requests that lie in one object."""
    for row in decode_rows(store.get(key)):
        yield FiledAnswer(**{**row, "outputs": tuple(row["outputs"])})


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

    @property
    def time(self) -> datetime:
        """When it was given; long ago where that is not known."""
        return self.at or _LONG_AGO


def answers_to(
    store: SearchableStore, project: str, record_id: str, start: datetime, end: datetime
) -> list[KnownAnswer]:
    """Return what was said of a record in whole hours that touch [start, end), oldest first."""
    numbers, unit = numbers_of(project, record_id), joined_record_id(project, record_id)
    hours, found = set(hours_between(start, end)), list[KnownAnswer]()
    for item in store.under(answers_root(project)):
        if hour_of_answers(item.key) not in hours:
            continue
        if is_filed_rows(item.key):
            rows = FiledRows.from_bytes(store.get(item.key))
            found += of_file(rows, rows.named(numbers))
            continue
        for answer in answers_at(store, item.key):
            if answer.record_id and joined_record_id(project, answer.record_id) == unit:
                found.append(of_request(answer))
    return sorted(found, key=lambda answer: answer.time)


def of_request(answer: FiledAnswer) -> KnownAnswer:
    """Return a filed answer to a request."""
    return KnownAnswer(
        at=time_of(answer.prediction_id),
        model_version=answer.model_version,
        prediction=answer.prediction,
        outputs=answer.outputs,
        prediction_id=answer.prediction_id,
    )


def of_file(rows: FiledRows, wanted: Any) -> Iterator[KnownAnswer]:
    """Yield the filed answers to rows of a file, given their places or a mask."""
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
