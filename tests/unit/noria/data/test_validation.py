import json

import pytest

from cli.samples.files import csv_bytes
from noria.data.validation import (
    TARGET,
    TIME,
    Validator,
    acceptance_faults,
    validation_report,
)
from noria.errors import DatasetSchemaError
from noria.spec.model import DecisionSection
from tests.support.rows import records, ticket_csv

HOUSE = "CRIM ZN INDUS CHAS NOX RM AGE DIS RAD TAX PTRATIO B LSTAT MEDV".split()
ROW = [0.1, 18, 2.3, 0, 0.5, 6.5, 65, 4.0, 1, 296, 15.3, 396.9, 4.98, 24]


def _validated(spec, body: bytes, name: str = "rows.csv"):
    validator = Validator(spec)
    validator.add_file(records(body, name), name)
    validator.finish()
    return validator.result


def _house(**changes):
    return csv_bytes(HOUSE, [[changes.get(c, v) for c, v in zip(HOUSE, ROW, strict=True)]])


def test_a_missing_column_refuses_the_file(housing):
    """The error lists what is missing, and what resembles it."""
    with pytest.raises(DatasetSchemaError, match=r"\['RM'\] are missing.* no.* similar name"):
        _validated(housing, _house().replace(b"RM", b"ROOMS"))
    with pytest.raises(DatasetSchemaError, match=r"\['PTRATIO'\].* among them \['PT_RATIO'\]"):
        _validated(housing, _house().replace(b"PTRATIO", b"PT_RATIO"))


def test_no_cell_of_a_file_without_a_header_is_quoted(housing):
    """Its first row would be told in the alert of the refused dataset."""
    first = [f"secret {place}" for place in range(len(HOUSE))]
    for names in (first, ["secret"] * len(HOUSE)):
        with pytest.raises(DatasetSchemaError) as caught:
            _validated(housing, csv_bytes(names, [ROW]))
        assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"RM": "six"}, "RM: must be a number, got text"),
        ({"RM": "=1+1"}, "RM: must be a number, got text"),
        ({"RM": "inf"}, "RM: must be a finite number"),
        ({"RM": 99}, "RM: outside [3.0, 10.0]"),
        ({"MEDV": "free"}, "MEDV: must be a number"),
    ],
    ids=["text", "formula", "infinite", "range", "target"],
)
def test_a_wrong_value_quarantines_its_row_with_column_and_reason(housing, change, said):
    """The row is kept aside with all its cells."""
    (rejected,) = _validated(housing, _house(**change)).rejected.examples
    assert any(reason.startswith(said) for reason in rejected.reasons)
    assert rejected.cells["CRIM"] == "0.1"
    assert rejected.line == 2


@pytest.mark.parametrize("gap", ["", "NA", " ", "NaN"])
def test_a_gap_is_missing_not_wrong(housing, gap):
    """Missing cells are imputed later, so they stay None here."""
    (row,) = _validated(housing, _house(CRIM=gap)).rows
    assert row["CRIM"] is None


def test_the_datasets_own_maximum_of_dis_is_in_range(housing):
    """The old API refused 12.1265, a value of its own training data."""
    assert len(_validated(housing, _house(DIS=12.1265)).rows) == 1


def _with_labels(spec, *labels):
    return spec.model_copy(
        update={"target": spec.target.model_copy(update={"labels": tuple(labels)})}
    )


def test_unknown_labels_are_quarantined_and_unlabelled_rows_counted_apart(tickets):
    """A label outside the spec is an error; no label yet is not."""
    tickets = _with_labels(tickets, "0", "1", "2")
    rows = [["a", "hola", "", "7"], ["b", "hola", "", ""], ["c", "hola", "", "0"]]
    validator = Validator(tickets)
    body = csv_bytes(["number", "short_description", "close_notes", "etiqueta"], rows)
    validator.add_file(records(body), "rows.csv")
    result = validator.result
    assert [r.reasons for r in result.rejected.examples] == [
        ["etiqueta: unknown label; allowed: 0, 1, 2"]
    ]
    assert (result.n_unlabelled, len(result.rows)) == (1, 1)


def test_formula_text_is_data_and_is_counted(tickets):
    """Text starting with '=' trains like any text; only exports must escape it."""
    rows = [["1", "=cmd|' /C calc'!A0", "", "0"]]
    validator = Validator(tickets)
    body = csv_bytes(["number", "short_description", "close_notes", "etiqueta"], rows)
    validator.add_file(records(body), "rows.csv")
    assert validator.result.n_formula_cells == 1
    assert validator.result.rows[0]["short_description"].startswith("=cmd")


def test_duplicates_are_dropped_once_and_counted(tickets):
    """The second copy of a row adds nothing and does not count as rejected."""
    once = ticket_csv(200, seed=3)
    header, _, body = once.partition(b"\n")
    twice = _validated(tickets, header + b"\n" + body + body)
    single = _validated(tickets, once)
    assert twice.rows == single.rows
    assert twice.n_duplicates == single.n_duplicates + 200
    assert not twice.rejected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"short_description,close_notes,etiqueta\n", "no records"),
        (b"short_description,close_notes,etiqueta\nhola,,0\n", "usable rows"),
        (
            b"short_description,close_notes,etiqueta\n"
            + b"".join(b"texto %d,,0\n" % i for i in range(150)),
            "one value only",
        ),
    ],
    ids=["header only", "one row", "one class"],
)
def test_rows_that_cannot_train_are_not_accepted(tickets, body, said):
    """Too little evidence is said, not trained on."""
    faults = acceptance_faults(_validated(tickets, body), tickets)
    assert any(said in fault for fault in faults)


def test_every_record_is_accounted_for(tickets):
    """Rows + rejected + duplicates + unlabelled + without text = records: nothing is lost."""
    body = ticket_csv(300, seed=5) + b"x,,,\n" + b"y,only,two\n" + b"z,texto,,9\n"
    result = _validated(_with_labels(tickets, "0", "1", "2"), body)
    report = validation_report(result, accepted=True, outcome=[])
    total = report.n_rows + report.n_rejected + report.n_duplicates
    assert report.n_without_text == 1
    assert total + report.n_unlabelled + 1 == report.n_records == 303


def test_rare_classes_move_to_the_rejected(tickets):
    """A class with fewer rows than the spec asks cannot be judged."""
    body = ticket_csv(200, seed=3)
    rare = b"".join(b"n%d,un texto propio %d,,2\n" % (i, i) for i in range(3))
    only_two = b"\n".join(line for line in body.splitlines() if not line.endswith(b",2"))
    result = _validated(tickets, only_two + b"\n" + rare)
    assert {row[TARGET] for row in result.rows} == {"0", "1"}
    assert sum("fewer than 10 rows" in r.reasons[0] for r in result.rejected.examples) == 3
    report = validation_report(result, accepted=True, outcome=[])
    assert (set(report.classes), report.rare_classes) == ({"0", "1"}, {"2": 3})


def test_a_positive_class_that_no_row_has_is_a_fault_before_anything_is_trained(tickets):
    """A misspelt class was trained and promoted; the message lists no cell of the files."""
    target = tickets.target.model_copy(update={"positive": "churned"})
    spec = tickets.model_copy(update={"target": target})
    (fault,) = acceptance_faults(_validated(spec, ticket_csv(150, seed=3)), spec)
    assert fault.startswith("target.positive: no row is of class 'churned'")


def test_a_rule_about_two_classes_needs_two(tickets):
    """Said when the rows are known, not after features were computed."""
    decision = DecisionSection(rule="threshold", threshold=0.4)
    spec = tickets.model_copy(update={"decision": decision})
    (fault,) = acceptance_faults(_validated(spec, ticket_csv(200, seed=3)), spec)
    assert fault == "decision.rule = 'threshold' needs two classes; the rows have 3"


def _lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


TICKET = {"short_description": "no abre", "close_notes": "", "etiqueta": "0"}


@pytest.mark.parametrize(
    "change",
    [
        {"etiqueta": ["0"]},
        {"etiqueta": {}},
        {"etiqueta": True},
        {"short_description": ["x"]},
        {"short_description": 10**401},
    ],
    ids=["list label", "object label", "true label", "list text", "huge number"],
)
def test_a_hostile_json_row_is_quarantined_alone(tickets, change):
    """Its neighbour becomes a row; the run goes on."""
    result = _validated_as_is(tickets, _lines({**TICKET, **change}, TICKET))
    accepted = change.get("short_description") == 10**401  # long, but text
    assert len(result.rejected) == (0 if accepted else 1)
    assert TICKET["short_description"] in [row["short_description"] for row in result.rows]


def _validated_as_is(spec, body):
    validator = Validator(spec)
    validator.add_file(records(body, "rows.jsonl"), "rows.jsonl")
    return validator.result


def test_a_column_missing_from_all_json_lines_refuses_the_file(tickets):
    """A misspelt column must not be imputed for everyone."""
    line = {"close_notes": "a", "etiqueta": "0"}
    with pytest.raises(DatasetSchemaError, match=r"\['short_description'\] are missing"):
        _validated_as_is(tickets, _lines(line, line))
    assert len(_validated_as_is(tickets, _lines(line, TICKET)).rows) == 2


def test_numbers_in_text_keep_their_digits(tickets):
    """Codes must not collapse, whatever the format of the file."""
    (row,) = _validated_as_is(tickets, _lines({**TICKET, "short_description": 12345678})).rows
    assert row["short_description"] == "12345678"


def test_times_of_different_zones_are_ordered_as_instants(tickets):
    """The future must not sort before the past."""
    dataset = tickets.dataset.model_copy(update={"time": "at"})
    spec = tickets.model_copy(update={"dataset": dataset})
    later, earlier = "2024-01-01T23:00-05:00", "2024-01-02T01:00+00:00"
    rows = _validated_as_is(
        spec, _lines({**TICKET, "at": later}, {**TICKET, "at": earlier}, {**TICKET, "at": "x"})
    )
    assert rows.rows[0][TIME] > rows.rows[1][TIME]
    assert "must be a time (ISO 8601)" in rows.rejected.examples[0].reasons[0]
