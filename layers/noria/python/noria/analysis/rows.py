"""Rows of any number beside what a model version was trained on: profiles that merge, features.

Whoever has the rows cuts them as it likes, on one machine or on many; what is merged is the same
to the last bit, because counts and sums are exact.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from noria.batch.files import RowsFile
from noria.batch.reading import read_part
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.columnar.columns import Cells
from noria.columnar.engine import BatchAnswers, BatchPredictor
from noria.columnar.profiles import AnswersProfiler
from noria.inference.predictor import Predictor
from noria.monitoring.checks import checked_window, of_inputs, then_and_now
from noria.monitoring.reference import Reference
from noria.monitoring.window import WindowProfile
from noria.records.bundle import ColumnContract
from noria.records.drift import AnalysisReport, AnalysisVerdict, CheckedWindow, RefusedRows
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
        self._profiler = AnswersProfiler(self.predictor, self.reference)

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
        made = RowsProfile(self._profiler.of(answers))
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


def compared(
    spec: ProjectSpec,
    reference: Reference,
    rows: RowsProfile,
    model_version: str,
) -> AnalysisReport:
    """Return how rows differ from the reference profile.

    Fewer rows than `monitoring.min_rows` are "insufficient_data", never "stable".
    """
    window = rows.window
    checked = checked_window(spec, reference, window)
    return AnalysisReport(
        project=spec.name,
        verdict=_verdict(checked),
        model_version=model_version,
        drifted=checked.drifted,
        n_rows=window.n_rows,
        min_rows=spec.monitoring.min_rows,
        n_refused=rows.n_refused,
        refused={
            name: RefusedRows(n, reason) for name, (n, reason) in sorted(rows.refused.items())
        },
        findings=checked.findings,
        columns=then_and_now(reference.profile.columns, window.columns),
        rules=checked.rules,
    )


def recognised(report: AnalysisReport, trained_on: tuple[str, ...]) -> AnalysisReport:
    """Return an analysis of rows some of which the model was trained on.

    It is surer of rows it has seen than of new ones, so its answers are not compared; the rows'
    columns are.
    """
    if not trained_on:
        return report
    is_sufficient = report.verdict != "insufficient_data"
    checked = of_inputs(CheckedWindow(report.n_rows, is_sufficient, report.findings, report.rules))
    return replace(
        report,
        findings=checked.findings,
        rules=checked.rules,
        drifted=checked.drifted,
        verdict=_verdict(checked),
        trained_on=trained_on,
    )


def _verdict(checked: CheckedWindow) -> AnalysisVerdict:
    if not checked.is_sufficient:
        return "insufficient_data"
    return "drift" if checked.drifted else "stable"
