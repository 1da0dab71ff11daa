"""Turn one chunk of the prediction log into small profiles that later checks merge."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from noria.data.versions import encode_rows
from noria.monitoring.prediction_log import read_reference
from noria.monitoring.reference import Reference
from noria.ports import ArtifactStore
from noria.records.filed_answer import FiledAnswer
from noria.records.prediction import PredictionRecord, record_from_dict
from noria.storage.hashing import canonical_json, short_id
from noria.storage.hours import hour_name
from noria.storage.keys import answers_key, profile_key, project_of_log


@dataclass(frozen=True)
class ProfileLogChunkRequest:
    """Which object of the log."""

    key: str


@dataclass(frozen=True)
class ProfileLogChunkResult:
    """What was in it."""

    n_records: int
    n_unreadable: int
    n_profiles: int


def profile_log_chunk(
    request: ProfileLogChunkRequest, *, artifacts: ArtifactStore
) -> ProfileLogChunkResult:
    """Profile the records of a chunk by model version and hour, and file their answers.

    Reads the chunk and the reference profiles of the versions in it; writes
    `profiles/<project>/<version>/<hour>/` and `answers/<project>/<hour>/`, one object each, named
    after the chunk: the same chunk again writes the same objects. Records with the same
    prediction id and version count once; duplicates are removed within a chunk only.
    """
    project, chunk = project_of_log(request.key), short_id(request.key.encode())
    records, n_unreadable = _read(artifacts.get(request.key))
    grouped: dict[tuple[str, str], list[PredictionRecord]] = defaultdict(list)
    for record in records:
        hour = hour_name(datetime.fromisoformat(record.at))
        grouped[record.model_version, hour].append(record)
    references: dict[str, Reference] = {}
    answers: dict[str, list[FiledAnswer]] = defaultdict(list)
    for (version, hour), group in grouped.items():
        if version not in references:
            references[version] = read_reference(artifacts, project, version)
        reference = references[version]
        body = gzip.compress(canonical_json(reference.of(group).to_dict()), mtime=0)
        artifacts.put(profile_key(project, version, hour, chunk), body)
        answers[hour] += _answers(reference, group)
    for hour, rows in answers.items():
        artifacts.put(answers_key(project, hour, chunk), encode_rows(_line(row) for row in rows))
    return ProfileLogChunkResult(len(records), n_unreadable, len(grouped))


def _read(body: bytes) -> tuple[list[PredictionRecord], int]:
    text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    found: dict[tuple[str, str], PredictionRecord] = {}
    n_unreadable = 0
    for line in text.splitlines():
        try:
            record = record_from_dict(json.loads(line))
            datetime.fromisoformat(record.at)
            found[record.prediction_id, record.model_version] = record
        except (ValueError, KeyError, TypeError, AttributeError):
            n_unreadable += 1
    return list(found.values()), n_unreadable


def _answers(reference: Reference, records: list[PredictionRecord]) -> Iterator[FiledAnswer]:
    for record in records:
        if record.answer is None:
            continue
        shares, prediction = record.answer.probabilities, record.answer.prediction
        outputs = [shares[name] for name in reference.classes] or [float(prediction)]
        yield FiledAnswer(
            prediction_id=record.prediction_id,
            model_version=record.model_version,
            prediction=prediction,
            outputs=tuple(outputs),
            record_id=record.record_id,
            true_label=record.true_label,
            latency_ms=record.latency_ms,
        )


def _line(answer: FiledAnswer) -> dict[str, object]:
    """Return an answer as it is filed: what is not there is left out."""
    return {name: value for name, value in vars(answer).items() if value is not None}
