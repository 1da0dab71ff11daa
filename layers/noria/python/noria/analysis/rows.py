"""Rows of any number beside what a model version was trained on: profiles that merge, features.

Whoever has the rows cuts them as it likes, on one machine or on many; what is merged is the same
to the last bit, because counts and sums are exact.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from noria.batch.files import RowsFile
from noria.batch.reading import read_part
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.columnar.columns import Cells
from noria.columnar.engine import BatchAnswers, BatchPredictor
from noria.data.versions import read_dataset_manifest
from noria.inference.predictor import Predictor
from noria.monitoring.checks import check_columns, then_and_now
from noria.monitoring.reference import Reference
from noria.monitoring.sources import (
    OUTPUTS,
    InputSource,
    OutputSource,
    ProbabilitySource,
    Source,
    TextSource,
)
from noria.monitoring.window import WindowProfile, shares_of
from noria.ports import ArtifactStore
from noria.records.bundle import ColumnContract
from noria.records.drift import AnalysisReport, RefusedRows
from noria.registry.versions import read_manifest
from noria.spec.model import ProjectSpec
from noria.storage.keys import REFERENCE

ANALYZED_WITH = (BUNDLE_FILE, ARRAYS_FILE, REFERENCE)  # files of a model version
SPARSE_COLUMNS = ("indices", "values")  # of features without one column each
_MOST_FEATURE_COLUMNS = 1000


@dataclass
class RowsProfile:
    """What is kept of rows: the profile of those that have an answer, and why others have none."""

    window: WindowProfile
    n_refused: int = 0
    # By field: how many rows, and the alphabetically first reason, whatever the order of rows.
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, other: "RowsProfile") -> None:
        """Take the profile of more rows in."""
        self.window.add(other.window)
        self.n_refused += other.n_refused
        for name, (n, reason) in other.refused.items():
            before = self.refused.get(name, (0, reason))
            self.refused[name] = before[0] + n, min(before[1], reason)

    def refuse(self, faults: Iterable[Mapping[str, str]]) -> None:
        """Count a row that cannot be answered, with all its faults."""
        self.n_refused += 1
        for fault in faults:
            n, reason = self.refused.get(fault["field"], (0, fault["reason"]))
            self.refused[fault["field"]] = n + 1, min(reason, fault["reason"])

    def to_bytes(self) -> bytes:
        """Return the profile as JSON."""
        refused = dict(sorted(self.refused.items()))
        shown = {"window": self.window.to_dict(), "n": self.n_refused, "refused": refused}
        return json.dumps(shown, ensure_ascii=False).encode()


class RowsAnalyzer:
    """A model version that looks at rows.

    Parameters
    ----------
    files : mapping of file name to content
        The version's `ANALYZED_WITH`.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        bundle = {name: body for name, body in files.items() if name != REFERENCE}
        self._model = BatchPredictor(Predictor(bundle))
        self.predictor = self._model.predictor
        self.reference = Reference.from_bytes(files[REFERENCE])

    def empty(self) -> RowsProfile:
        """Return the profile of no rows."""
        return RowsProfile(self.reference.empty())

    def read(self, body: bytes) -> RowsProfile:
        """Return what `RowsProfile.to_bytes` wrote."""
        data = json.loads(body)
        refused = {name: (n, reason) for name, (n, reason) in data["refused"].items()}
        return RowsProfile(self.reference.read(data["window"]), data["n"], refused)

    def profile(self, cells: Cells, n_rows: int, unreadable: Iterable[str] = ()) -> RowsProfile:
        """Return the profile of rows given as columns of text cells.

        Parameters
        ----------
        unreadable : texts
            Why each record beside these rows is none.
        """
        answers = self._model.answer(cells, n_rows)
        signals = self._signals(answers)
        values = {
            name: signals[source]
            if isinstance(source, TextSource)
            else self._values(source, answers)
            for name, source in self.reference.sources.items()
        }
        classes = self.predictor.classes
        shares = shares_of(classes, answers.outputs, answers.decided)
        made = RowsProfile(self.reference.of_columns(values, shares, len(answers.places)))
        for faults in answers.refused.values():
            made.refuse(faults)
        for reason in unreadable:
            made.refuse([{"field": "(record)", "reason": reason}])
        return made

    def features(self, cells: Cells, n_rows: int, kept: Sequence[str]) -> pa.RecordBatch:
        """Return the features of the rows that can be answered, beside cells kept as they are.

        One column per feature; above a thousand, or where most are zero, the two columns
        `indices` and `values`. `feature_columns` says their names.
        """
        answers = self._model.answer(cells, n_rows)
        places = pa.array(answers.places)
        columns = {
            name: cells[name].take(places) if name in cells else pa.nulls(len(places), pa.string())
            for name in kept
        }
        features = dict(zip(self.feature_columns(kept), self._features(answers), strict=True))
        return pa.RecordBatch.from_pydict({**columns, **features})

    @property
    def has_sparse_features(self) -> bool:
        """Whether features are written as `indices` and `values`."""
        view = self.predictor.view
        return view.is_sparse or view.width > _MOST_FEATURE_COLUMNS

    def feature_columns(self, kept: Sequence[str]) -> list[str]:
        """Return the columns that `features` gives beside the kept ones; no name comes twice."""
        names = SPARSE_COLUMNS if self.has_sparse_features else self.predictor.view.names()
        taken, found = set(kept), list[str]()
        for name in names:
            own, number = name, 1
            while own in taken:
                number += 1
                own = f"{name} ({number})"
            taken.add(own)
            found.append(own)
        return found

    def _features(self, answers: BatchAnswers) -> list[pa.Array]:
        """Return the columns in the order of `feature_columns`."""
        found = self._model.view.features(answers.columns, answers.places)
        if not isinstance(found, list):
            if not self.has_sparse_features:
                return [pa.array(column) for column in found.T]
            found = [dict(enumerate(row)) for row in found.tolist()]
        used = [sorted((i, value) for i, value in row.items() if value) for row in found]
        indices = pa.array([[i for i, _ in row] for row in used], pa.list_(pa.int32()))
        values = pa.array([[v for _, v in row] for row in used], pa.list_(pa.float64()))
        return [indices, values]

    def _values(self, source: Source, answers: BatchAnswers) -> Any:
        """Return the values of a source by column, as `Reference.of_columns` takes them."""
        if isinstance(source, InputSource):
            return _inputs(answers, source)
        if isinstance(source, ProbabilitySource):
            return answers.outputs[:, self.predictor.classes.index(source.class_name)]
        if self.predictor.task == "regression":
            return answers.outputs[:, 0]
        if isinstance(source, OutputSource) and source.field == "confidence":
            return answers.outputs[np.arange(len(answers.places)), answers.decided]
        classes = self.predictor.classes
        counts = np.bincount(answers.decided, minlength=len(classes)).tolist()
        return dict(zip(classes, counts, strict=True))

    def _signals(self, answers: BatchAnswers) -> dict[TextSource, list[Any]]:
        """Return what is observed of each text column, by source."""
        signals: dict[TextSource, list[Any]] = {}
        sources = [s for s in self.reference.sources.values() if isinstance(s, TextSource)]
        for name in {source.column for source in sources}:
            texts = answers.columns.texts[name]
            seen = [
                self.predictor.observer.observe({name: texts[i]}).get(name)
                for i in answers.places.tolist()
            ]
            for source in sources:
                if source.column == name:
                    signals[source] = [found and getattr(found, source.part) for found in seen]
        return signals


def kept_columns(spec: ProjectSpec) -> list[str]:
    """Return the columns of a file that stay beside its features: ids and the target."""
    return list(dict.fromkeys((*spec.id_columns, spec.target.column)))


def read_cells(
    file: RowsFile, columns: Mapping[str, ColumnContract], kept: Sequence[str]
) -> Iterator[tuple[Cells, int, list[str]]]:
    """Yield a file's records part by part: cells by column, how many, and why others are none.

    Parameters
    ----------
    columns : mapping
        Of the serving bundle.
    kept : sequence of column names
        Read too, where they are there.
    """
    file.require_columns(columns)
    for part in file.parts():
        found = read_part(part, file.layout, list(columns), kept)
        yield found.cells, len(found.lines), [bad.reason for bad in found.bad]


def training_files(artifacts: ArtifactStore, project: str, model_version: str) -> tuple[str, ...]:
    """Return the keys of the source files that a model version was trained on."""
    lineage = read_manifest(artifacts, project, model_version).lineage
    if lineage is None:
        return ()
    return read_dataset_manifest(artifacts, project, lineage.dataset_version).sources


def compared(
    spec: ProjectSpec,
    reference: Reference,
    rows: RowsProfile,
    model_version: str,
) -> AnalysisReport:
    """Return how rows differ from the reference profile.

    Fewer rows than `monitoring.min_rows` are "insufficient_data", never "stable".
    """
    monitoring, window = spec.monitoring, rows.window
    is_sufficient = window.n_rows >= monitoring.min_rows
    findings = (
        check_columns(
            reference.profile.columns,
            window.columns,
            effects=monitoring.effects,
            alpha=monitoring.alpha,
        )
        if is_sufficient
        else []
    )
    drifted = tuple(dict.fromkeys(f.column for f in findings if f.is_drifted))
    return AnalysisReport(
        project=spec.name,
        verdict=("drift" if drifted else "stable") if is_sufficient else "insufficient_data",
        model_version=model_version,
        drifted=drifted,
        n_rows=window.n_rows,
        min_rows=monitoring.min_rows,
        n_refused=rows.n_refused,
        refused={
            name: RefusedRows(n, reason) for name, (n, reason) in sorted(rows.refused.items())
        },
        findings=tuple(findings),
        columns=then_and_now(reference.profile.columns, window.columns),
    )


def recognised(report: AnalysisReport, trained_on: tuple[str, ...]) -> AnalysisReport:
    """Return an analysis of rows some of which the model was trained on.

    It is surer of rows it has seen than of new ones, so its answers are not compared; the rows'
    columns are.
    """
    if not trained_on:
        return report
    findings = tuple(found for found in report.findings if found.column not in OUTPUTS)
    drifted = tuple(dict.fromkeys(f.column for f in findings if f.is_drifted))
    verdict = report.verdict
    if verdict == "drift" and not drifted:
        verdict = "stable"
    return replace(
        report, findings=findings, drifted=drifted, verdict=verdict, trained_on=trained_on
    )


def _inputs(answers: BatchAnswers, source: InputSource) -> Any:
    columns, places, name = answers.columns, answers.places, source.column
    if source.reading == "levels":
        found = columns.levels[name]
        counts = np.bincount(found.codes[places], minlength=len(found.levels)).tolist()
        counted: Counter[str | None] = Counter()
        for level, n in zip(found.levels, counts, strict=True):  # two cells may be one level
            counted[level] += n
        return counted
    values = columns.numbers[name][places] + 0.0  # zero has no sign
    if source.reading == "number":
        return values
    counted = Counter({None: int(np.isnan(values).sum())})
    for value, n in zip(*np.unique(values[~np.isnan(values)], return_counts=True), strict=True):
        counted[f"{value:g}"] += int(n)
    return counted
