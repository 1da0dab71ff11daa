"""A model version in production without its training: a reference, a log, labels."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from noria.evaluation.metrics import Answers, measure
from noria.features.text_signals import TextObserver
from noria.monitoring.filed_rows import FiledJob, FiledRows, cell_numbers, private_numbers
from noria.monitoring.reference import OutOfFoldFacts, Reference, as_answers, build_reference
from noria.records.alias import Promotion, RolloutChange, RolloutMode
from noria.records.codec import to_bytes
from noria.records.dataset import DatasetManifest
from noria.records.evaluation import Lineage, VersionFacts
from noria.records.prediction import Answer, PredictionRecord
from noria.registry.versions import write_version
from noria.spec.loader import parse_spec
from noria.spec.model import ProjectSpec
from noria.steps.profile_log_chunk import ProfileLogChunkRequest, profile_log_chunk
from noria.storage.hours import hour_name
from noria.storage.ids import new_prediction_id
from noria.storage.keys import MANIFEST, REFERENCE, dataset_key, filed_rows_key, labels_key
from tests.support.fakes import MemoryAliases, MemoryArtifacts, MemoryState
from tests.support.trained import tiny_bundle

START = datetime(2026, 3, 1, tzinfo=UTC)
CLASSES = ("no", "yes")
WORDS = {"note": ["en", "orden", "todo"]}
OBSERVER = TextObserver(WORDS)

LOAN_SPEC = """
[project]
name = "loans"
task = "classification"
description = "two numbers and a category"
[dataset.columns]
x = { type = "number" }
z = { type = "number" }
kind = { type = "category" }
note = { type = "text", pii = true }
[target]
column = "y"
labels = ["no", "yes"]
positive = "yes"
[split]
kind = "random"
[[features]]
name = "numbers"
kind = "numeric"
columns = ["x", "z"]
[[features]]
name = "kinds"
kind = "categorical"
columns = ["kind"]
[[features]]
name = "words"
kind = "text"
columns = ["note"]
[[candidates]]
name = "logistic"
algorithm = "logistic_regression"
[evaluation]
primary_metric = "accuracy"
metrics = ["accuracy", "f1_macro", "roc_auc"]
"""


def loan_spec(**sections: Mapping[str, Any]) -> ProjectSpec:
    """Return the spec; `sections` replace keys of its tables."""
    spec = parse_spec(LOAN_SPEC, source="loans.toml")
    changed = {
        name: getattr(spec, name).model_copy(update=dict(update))
        for name, update in sections.items()
    }
    return spec.model_copy(update=changed)


def loan_rows(n: int, *, seed: int = 0, shift: float = 0.0) -> list[dict[str, Any]]:
    """Return rows; `shift` moves `x` by so many deviations."""
    rng = np.random.default_rng(seed)
    return [
        {
            "x": float(x),
            "z": float(z),
            "kind": str(k),
            "note": "por favor revisar la solicitud" if t else "todo en orden",
        }
        for x, z, k, t in zip(
            rng.normal(shift, 1.0, n),
            rng.normal(0.0, 1.0, n),
            rng.choice(["car", "home"], n),
            rng.integers(0, 2, n),
            strict=True,
        )
    ]


def probability(row: Mapping[str, Any], *, flip: bool = False) -> float:
    """Return the true probability of "yes": what a perfect model answers."""
    value = 1.0 / (1.0 + np.exp(-2.0 * row["x"]))
    return float(1.0 - value if flip else value)


def answers_of(rows: Iterable[Mapping[str, Any]]) -> Answers:
    """Return the perfect model's answers."""
    shares = np.array([[1.0 - probability(row), probability(row)] for row in rows])
    return Answers(shares, shares.argmax(axis=1))


def records_of(rows: Sequence[Mapping[str, Any]]) -> list[PredictionRecord]:
    """Return the perfect model's answers as prediction records."""
    return [
        PredictionRecord("", "v1", "", answer=answer, inputs=row, signals=OBSERVER.observe(row))
        for answer, row in zip(as_answers(CLASSES, answers_of(rows)), rows, strict=True)
    ]


@cache
def _reference(spec: str) -> Reference:
    rows = loan_rows(3000, seed=1)
    answers = answers_of(rows)
    truth = Production.truth(rows, seed=2)
    scores = {
        "accuracy": float(np.mean(answers.decided == truth)),
        "f1_macro": 0.8,
        "roc_auc": 0.9,
        "calibration_error": measure("calibration_error", truth, answers),
    }
    facts = OutOfFoldFacts(CLASSES, [*as_answers(CLASSES, answers)], scores)
    return build_reference(ProjectSpec.model_validate_json(spec), rows, WORDS, facts)


class Production:
    """One project with a champion, its log and its labels, in memory."""

    def __init__(self, **sections: Mapping[str, Any]) -> None:
        self.spec = loan_spec(**sections)
        self.store, self.aliases = MemoryArtifacts(), MemoryAliases()
        self.state = MemoryState()
        self.reference = _reference(self.spec.model_dump_json())
        self.add_version("v1")
        self.promote("v1", at=START)
        self._n_chunks = 0

    @staticmethod
    def truth(rows: Iterable[Mapping[str, Any]], *, seed: int, flip: bool = False) -> np.ndarray:
        """Draw true classes."""
        rng = np.random.default_rng(seed)
        return np.array([int(rng.random() < probability(row, flip=flip)) for row in rows])

    def add_version(self, version: str, bundle: Mapping[str, bytes] | None = None) -> None:
        """Register a version with this reference, and with the smallest bundle or another one."""
        write_version(
            self.store,
            "loans",
            version,
            {**(bundle or tiny_bundle()), REFERENCE: self.reference.to_bytes()},
            VersionFacts(START.isoformat(), Lineage("d1", "s", {}, None, "r", "e", "lambda", "c")),
        )
        manifest = DatasetManifest("loans", "d1", {}, 100, 0, offered=("inbox/loans/1/a.csv",))
        self.store.put(dataset_key("loans", "d1", MANIFEST), to_bytes(manifest))

    def promote(self, version: str, *, at: datetime) -> None:
        """Make a version champion."""
        revision = self.aliases.read("loans").revision
        self.aliases.apply(
            Promotion(
                "loans", f"p-{revision}", version, revision, "manual", "r", "t", at.isoformat()
            )
        )

    def roll_out(self, version: str, *, at: datetime, mode: RolloutMode = "canary") -> None:
        """Give a challenger half of the requests."""
        revision = self.aliases.read("loans").revision
        change = RolloutChange(
            "loans", f"r-{revision}", version, revision, mode, 0.5, "r", "t", at.isoformat()
        )
        self.aliases.apply(change)

    def log(
        self,
        rows: Iterable[Mapping[str, Any]],
        at: datetime,
        *,
        version: str = "v1",
        answer: str | None = None,
        failed: bool = False,
        latency_ms: float = 2.0,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Write a chunk of the log, profile it, and return the prediction ids.

        `ids` are those of requests that another version has answered already.
        """
        records = []
        for number, row in enumerate(rows):
            share = probability(row)
            said = answer or ("yes" if share > 0.5 else "no")
            shares = {"no": 1.0 - share, "yes": share}
            record = PredictionRecord(
                ids[number] if ids else new_prediction_id(at),
                version,
                at.isoformat(),
                answer=None if failed else Answer(said, max(shares.values()), shares),
                failure="it broke" if failed else None,
                latency_ms=latency_ms,
                inputs={**row, "note": "***"},
                signals=OBSERVER.observe(row),
            )
            records.append(record)
        self._n_chunks += 1
        key = f"predictions/loans/{at:%Y/%m/%d/%H}/chunk-{self._n_chunks}.gz"
        body = "".join(json.dumps(record.to_dict()) + "\n" for record in records)
        self.store.put(key, gzip.compress(body.encode()))
        profile_log_chunk(ProfileLogChunkRequest(key), artifacts=self.store)
        return [record.prediction_id for record in records]

    def file_rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        ids: Sequence[str],
        at: datetime,
        *,
        job_id: str = "j1",
        version: str = "v1",
        are_private: bool = False,
        **job: bool,
    ) -> None:
        """File the answers to the rows of a batch, as its close does; `job` are its flags."""
        numbers = private_numbers("loans", ids) if are_private else cell_numbers(ids)
        answers = answers_of(rows)
        flags = {"is_evidence": True, **job}
        filed = FiledRows(
            job=FiledJob(job_id, f"{job_id}.csv", version, at.isoformat(), **flags),
            classes=CLASSES,
            id_columns=("id",),
            numbers=numbers[:, np.newaxis],
            lines=np.arange(2, 2 + len(rows)),
            outputs=answers.outputs,
            decided=np.asarray(answers.decided),
        )
        key = filed_rows_key(
            "loans", hour_name(at), job_id, 0, is_shadow=flags.get("is_shadow", False)
        )
        self.store.put(key, filed.to_bytes())

    def label(
        self,
        ids: Iterable[str],
        labels: Iterable[str],
        at: datetime,
        *,
        by: str = "prediction_id",
    ) -> None:
        """File labels."""
        listed = [{by: key, "label": label} for key, label in zip(ids, labels, strict=True)]
        body = {"at": at.isoformat(), "labels": listed}
        key = labels_key("loans", hour_name(at), f"l{len(self.store.objects)}")
        self.store.put(key, json.dumps(body).encode())

    def hours(self, n_hours: int, *, start: datetime = START, n: int = 60, shift: float = 0.0,
              seed: int = 100, **more: Any) -> datetime:  # fmt: skip
        """Log some hours of traffic and return their end."""
        for hour in range(n_hours):
            rows = loan_rows(n, seed=seed + hour, shift=shift)
            self.log(rows, start + timedelta(hours=hour, minutes=5), **more)
        return start + timedelta(hours=n_hours)
