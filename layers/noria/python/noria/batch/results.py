"""What a part gives: rows to keep, rows refused, and counts that add up over parts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from math import fsum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from noria.batch.reading import Records
from noria.columnar.engine import BatchAnswers
from noria.columnar.kernel import Floats
from noria.inference.predictor import Predictor
from noria.records.batch import BatchCounts, BatchWorth, Spread, Worth
from noria.storage.hashing import canonical_json

N_BINS, _N_SHARES, _HEAD_ROWS, _N_REASONS = 20, 100, 20, 20
_MIDDLES = (np.arange(_N_SHARES) + 0.5) / _N_SHARES
# What a spreadsheet would run: these signs, also in full width, after signs that show nothing; and
# after a semicolon, where that separates lists.
_SIGNS = r"[=+@\-\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
_BLANK = r"[\s\x{A0}\x{AD}\x{200B}-\x{200F}\x{2028}-\x{202F}\x{2060}-\x{2064}\x{3000}\x{FEFF}]"
_FORMULA = rf"^{_BLANK}*{_SIGNS}|^[\t\r]|[;\t\r\n]{_BLANK}*{_SIGNS}"
OUTPUTS = ("prediction", "confidence", "business_value", "band", "priority")
_NUMBER = r"^[+-]?\d+([.,]\d+)?$"


def part_table(
    records: Records,
    answers: BatchAnswers,
    predictor: Predictor,
    id_columns: Sequence[str],
    bands: "Bands | None",
) -> pa.Table:
    """Return one row an answered record: line, ids, prediction, what it rests on, what it is worth.

    A class's probability is in `p_<class>`; an id named like one of these is `id_<name>`.
    """
    places = pa.array(answers.places)
    columns: dict[str, Any] = {"line": pa.array(records.lines).take(places)}
    taken = {"line", *OUTPUTS, *(f"p_{name}" for name in predictor.classes)}
    for name in id_columns:
        if name in records.cells:
            shown = f"id_{name}" if name in taken else name
            columns[shown] = records.cells[name].take(places)
    if predictor.task == "regression":
        columns["prediction"] = pa.array(answers.outputs[:, 0])
    else:
        decided = answers.decided
        names = pa.array(predictor.classes)
        columns["prediction"] = names.take(pa.array(decided))
        columns["confidence"] = pa.array(answers.outputs[np.arange(len(decided)), decided])
        for number, name in enumerate(predictor.classes):
            columns[f"p_{name}"] = pa.array(np.ascontiguousarray(answers.outputs[:, number]))
    if answers.values is not None:
        columns["business_value"] = pa.array(answers.values, from_pandas=True)
        if bands is not None:
            columns["band"] = bands.of(answers.values)
            if bands.priorities:
                columns["priority"] = bands.priority_of(columns["band"])
    return pa.table(columns)


def with_inputs(
    table: pa.Table, records: Records, answers: BatchAnswers, names: Sequence[str]
) -> pa.Table:
    """Return the table of answers with columns of the file as they were, after its own.

    One that is named like a column of the answers is `input_<name>`.
    """
    places = pa.array(answers.places)
    for name in names:
        if name in records.cells:
            shown = f"input_{name}" if name in table.column_names else name
            table = table.append_column(shown, records.cells[name].take(places))
    return table


class Bands:
    """Names of how much a row is worth, at edges that are fixed before the batch."""

    def __init__(
        self, edges: Sequence[float], names: Sequence[str], priorities: Mapping[str, str]
    ) -> None:
        self.edges, self.names, self.priorities = list(edges), list(names), dict(priorities)

    def of(self, values: Floats) -> pa.Array:
        """Return each value's band; null where there is no value. Intervals are right-closed."""
        places = np.searchsorted(self.edges, values, side="left")
        known = np.isnan(values)
        return pa.array(self.names).take(pa.array(np.where(known, 0, places), mask=known))

    def priority_of(self, bands: pa.Array) -> pa.Array:
        """Return the text that goes with each band."""
        coded = bands.dictionary_encode()
        texts = [self.priorities.get(name) for name in coded.dictionary.to_pylist()]
        return pa.array(texts, pa.string()).take(coded.indices)


def refused_lines(records: Records, answers: BatchAnswers) -> bytes:
    """Return JSON lines of the records without an answer, in order: line, reasons, cells."""
    kept: list[tuple[int, dict[str, Any]]] = []
    for bad in records.bad:
        errors = [{"field": "(record)", "reason": bad.reason}]
        kept.append((bad.line, {"line": bad.line, "errors": errors, "cells": bad.cells}))
    for place, errors in answers.refused.items():
        line = int(records.lines[place])
        cells = {name: column[place].as_py() for name, column in records.cells.items()}
        kept.append((line, {"line": line, "errors": list(errors), "cells": cells}))
    kept.sort(key=lambda pair: pair[0])
    return b"".join(canonical_json(entry) + b"\n" for _, entry in kept)


def table_bytes(table: pa.Table, form: str, *, with_header: bool) -> bytes:
    """Return a table as CSV, JSON lines, or (for parts of Parquet results) an Arrow stream.

    In CSV a text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    out = BytesIO()
    if form == "jsonl":
        return b"".join(
            canonical_json({k: v for k, v in row.items() if v is not None}) + b"\n"
            for row in table.to_pylist()
        )
    if form == "parquet":
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        return out.getvalue()
    table = pa.table(
        [inert(c) if c.type == pa.string() else c for c in table.columns],
        names=inert(pa.array(table.column_names)).to_pylist(),
    )
    options = pyarrow.csv.WriteOptions(include_header=with_header, quoting_style="needed")
    pyarrow.csv.write_csv(table, out, options)
    return out.getvalue()


def part_counts(
    records: Records, answers: BatchAnswers, predictor: Predictor, table: pa.Table
) -> BatchCounts:
    """Return what a part adds to its batch."""
    reasons = Counter(bad.reason for bad in records.bad)
    for errors in answers.refused.values():
        reasons.update(f"{error['field']}: {error['reason']}" for error in errors)
    counts = BatchCounts(
        n_rows=len(records.lines) + len(records.bad),
        n_answered=len(answers.places),
        n_refused=len(records.bad) + len(answers.refused),
        n_outside=answers.n_outside,
        n_imputed=answers.n_imputed,
        imputed=answers.imputed,
        reasons=dict(reasons.most_common(_N_REASONS)),
        columns=tuple(table.column_names),
        head=tuple(table.slice(0, _HEAD_ROWS).to_pylist()),
        values=None if answers.values is None else _worth(answers.values, table),
    )
    if predictor.task == "regression":
        return replace(counts, spread=_spread(answers.outputs[:, 0]))
    classes, histogram = class_counts(predictor.classes, answers.outputs, answers.decided)
    is_binary = len(predictor.classes) == 2
    return replace(
        counts,
        classes=classes,
        histogram=histogram,
        histogram_of=f"probability of {predictor.classes[1]}" if is_binary else "confidence",
    )


def class_counts(
    classes: Sequence[str], outputs: Floats, decided: NDArray[np.int64]
) -> tuple[dict[str, int], tuple[int, ...]]:
    """Return rows by class decided for, and by probability in 20 bins over [0, 1].

    The probability is the second one's of two classes, else the greatest.
    """
    counts = np.bincount(decided, minlength=len(classes)).tolist()
    shown = outputs[:, 1] if len(classes) == 2 else _top(outputs)
    bins = np.histogram(shown, N_BINS, (0.0, 1.0))[0].tolist()
    return dict(zip(classes, counts, strict=True)), tuple(bins)


def merged_counts(parts: Iterable[BatchCounts]) -> BatchCounts:
    """Return the counts of a batch from those of its parts, at least one, in order."""
    iterator = iter(parts)
    out = next(iterator)
    spreads, worths = [out.spread], [out.values]
    for part in iterator:
        spreads.append(part.spread)
        worths.append(part.values)
        reasons = Counter(out.reasons) + Counter(part.reasons)
        out = replace(
            out,
            n_rows=out.n_rows + part.n_rows,
            n_answered=out.n_answered + part.n_answered,
            n_refused=out.n_refused + part.n_refused,
            n_outside=out.n_outside + part.n_outside,
            n_imputed=out.n_imputed + part.n_imputed,
            imputed=dict(Counter(out.imputed) + Counter(part.imputed)),
            reasons=dict(reasons.most_common(_N_REASONS)),
            head=(*out.head, *part.head)[:_HEAD_ROWS],
        )
        if out.classes is not None and part.classes is not None:
            classes = {name: n + part.classes[name] for name, n in out.classes.items()}
            bins = added_bins(out.histogram or (), part.histogram or ())
            out = replace(out, classes=classes, histogram=bins)
    known = [worth for worth in worths if worth is not None]
    return replace(out, spread=merged_spread(spreads), values=_merged_worth(known))


def added_bins(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """Return the sum of two histograms."""
    return tuple(a + b for a, b in zip(one, other, strict=True))


def merged_spread(spreads: Sequence[Spread | None]) -> Spread | None:
    """Return the spread of all values together, each part by its size.

    A part stands for itself by the middles of 100 equal shares of its rows, so a quantile of all
    is off by at most about one hundredth of the rows; merge many at once, not one by one.
    """
    known = [spread for spread in spreads if spread is not None and spread.n]
    if not known:
        return None
    values = np.concatenate([spread.middles for spread in known])
    weights = np.concatenate([np.full(_N_SHARES, spread.n / _N_SHARES) for spread in known])
    order = np.argsort(values, kind="stable")
    place = (np.cumsum(weights[order]) - weights[order] / 2.0) / weights.sum()
    return Spread(
        n=int(sum(spread.n for spread in known)),
        least=min(spread.least for spread in known),
        most=max(spread.most for spread in known),
        middles=tuple(np.interp(_MIDDLES, place, values[order]).tolist()),
    )


def quantile(spread: Spread, share: float) -> float:
    """Return a quantile of a spread; `share` in [0, 1]."""
    grid = np.concatenate(([0.0], _MIDDLES, [1.0]))
    return float(np.interp(share, grid, [spread.least, *spread.middles, spread.most]))


def _spread(values: Floats) -> Spread | None:
    if not len(values):
        return None
    return Spread(
        n=len(values),
        least=float(values.min()),
        most=float(values.max()),
        middles=tuple(np.quantile(values, _MIDDLES).tolist()),
    )


def _top(outputs: Floats) -> Floats:
    top: Floats = outputs.max(axis=1) if len(outputs) else np.zeros(0)
    return top


def _worth(values: Floats, table: pa.Table) -> BatchWorth:
    known = values[~np.isnan(values)]
    bands: dict[str, Worth] = {}
    if "band" in table.column_names:
        coded = table["band"].combine_chunks().dictionary_encode()
        codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
        for code, name in enumerate(coded.dictionary.to_pylist()):
            bands[name] = Worth(*_totals(values[codes == code]))
    return BatchWorth(*_totals(known), spread=_spread(known), bands=bands)


def _totals(values: Floats) -> tuple[int, float, float | None]:
    """Return how many values there are, their sum and maximum."""
    if not len(values):
        return 0, 0.0, None
    return len(values), float(values.sum()), float(values.max())


def _merged_worth(worths: Sequence[BatchWorth]) -> BatchWorth | None:
    if not worths:
        return None
    names = dict.fromkeys(name for worth in worths for name in worth.bands)
    bands = {
        name: Worth(*_added([worth.bands[name] for worth in worths if name in worth.bands]))
        for name in names
    }
    spread = merged_spread([worth.spread for worth in worths])
    return BatchWorth(*_added(worths), spread=spread, bands=bands)


def _added(parts: Sequence[Worth]) -> tuple[int, float, float | None]:
    tops = [part.max for part in parts if part.max is not None]
    return (
        sum(part.n_rows for part in parts),
        fsum(part.total for part in parts),
        max(tops, default=None),
    )


def inert(cells: Any) -> Any:
    """Return texts as CSV has them: what a spreadsheet would run gets an apostrophe before it."""
    runs = pc.fill_null(pc.match_substring_regex(cells, _FORMULA), False)
    if not pc.any(runs).as_py():
        return cells
    runs = pc.and_(runs, pc.invert(pc.match_substring_regex(cells, _NUMBER)))
    return pc.if_else(runs, pc.binary_join_element_wise("'", cells, ""), cells)
