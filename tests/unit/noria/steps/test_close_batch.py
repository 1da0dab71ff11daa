"""Results gathered, or withheld with the reason."""

import csv
import io
import json
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from noria.batch import whole
from noria.data.versions import decode_rows
from noria.errors import BatchCancelledError, ModelCorruptError
from noria.inference.predictor import Predictor
from noria.monitoring.filed_rows import FiledRows, numbers_of, private_numbers
from noria.records.batch import BatchCheck, WholeDecision
from noria.spec.model import BusinessValueSection
from noria.steps import score_part
from noria.storage.keys import CANCELLED, OUTCOME, PLAN, batch_key
from tests.support.fakes import FixedClock
from tests.support.jobs import Jobs, csv_file
from tests.support.trained import COLUMN, tiny_bundle


def test_many_refused_rows_are_told_and_the_others_have_their_results():
    """12 rows of 100 cost a file all its results."""
    jobs = Jobs()
    closed = jobs.run(csv_file(100, bad=set(range(21))))
    assert (closed.outcome, closed.event) == ("BatchCompleted", "BatchRowsRefused")
    assert "21.0% refused, more than 20.0% (batch.max_refused_fraction)" in closed.summary
    assert jobs.store.get(closed.result_key).count(b"\n") == 1 + 79
    assert len(decode_rows(jobs.store.get(closed.refused_key))) == 21
    as_many_as_usual = Jobs().run(csv_file(100, bad=set(range(20))))
    assert as_many_as_usual.event == "BatchCompleted"


def test_a_spec_may_hold_the_results_of_a_file_with_many_refused_rows():
    """The refused rows are written all the same."""
    jobs = Jobs(on_refused="hold")
    closed = jobs.run(csv_file(100, bad=set(range(21))))
    assert (closed.outcome, closed.event) == ("BatchRejected", "BatchRejected")
    assert closed.result_key is None
    assert len(decode_rows(jobs.store.get(closed.refused_key))) == 21


def test_a_file_without_one_answer_has_no_results_whatever_the_spec_says():
    """An empty result file would look like success."""
    closed = Jobs(max_refused_fraction=1.0).run(csv_file(5, bad=set(range(5))))
    assert (closed.outcome, closed.result_key) == ("BatchRejected", None)


def test_gaps_are_filled_in_as_in_training_and_counted():
    """By column, over all parts; a column that may be missing is not counted."""
    columns = {"x": {**COLUMN, "required": True}, "z": {**COLUMN, "optional": True}}
    gaps = [f"i{k},{'' if k % 4 == 0 else 3}," for k in range(200)]
    body = ("id,X,z\n" + "\n".join(f"{line}1" for line in gaps) + "\n").encode()
    jobs = Jobs(tiny_bundle(columns=columns))
    counts = json.loads(jobs.store.get(jobs.run(body).summary_key))["counts"]
    assert (counts["n_answered"], counts["n_imputed"], counts["imputed"]) == (200, 50, {"x": 50})


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("n", [1, 99, 250])
def test_a_batch_decided_by_rank_calls_its_best_rows_however_it_was_cut(n, form):
    """Exactly a tenth of all rows, over all parts; of equal ones the earlier."""
    jobs = Jobs(_campaign(share=0.1), format=form)
    closed = jobs.run(csv_file(n))
    body = jobs.store.get(closed.result_key)
    rows = {
        "csv": lambda: list(csv.DictReader(io.StringIO(body.decode()))),
        "jsonl": lambda: [json.loads(line) for line in body.splitlines()],
        "parquet": lambda: pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist(),
    }[form]()
    called = [int(row["id"][1:]) for row in rows if row["prediction"] == "yes"]
    ranked = sorted(range(n), key=lambda k: (-(k % 10), k))
    assert called == sorted(ranked[: round(0.1 * n)])
    for row in rows:
        assert float(row["confidence"]) == float(row[f"p_{row['prediction']}"])
    counts = json.loads(jobs.store.get(closed.summary_key))["counts"]
    assert counts["classes"] == {"no": n - len(called), "yes": len(called)}
    assert [row["prediction"] for row in counts["head"]] == [r["prediction"] for r in rows[:20]]


def test_the_best_rows_are_of_the_positive_class_whatever_its_name_is():
    """The counts of a part hold the classes in the order of the alphabet, the model in its own."""
    jobs = Jobs(_campaign(share=0.1, classes=["stay", "churn"]))
    rows = jobs.answers(jobs.run(csv_file(250)))
    called = [row for row in rows if row["prediction"] == "churn"]
    others = [float(row["p_churn"]) for row in rows if row["prediction"] == "stay"]
    assert len(called) == 25
    assert min(float(row["p_churn"]) for row in called) >= max(others)


def test_a_batch_decided_row_by_row_would_call_another_share():
    """Control: the threshold that single requests have follows no batch."""
    jobs = Jobs(_campaign(share=None))
    rows = jobs.answers(jobs.run(csv_file(250)))
    assert sum(row["prediction"] == "yes" for row in rows) != 25


def test_a_batch_of_other_class_shares_is_corrected_however_it_was_cut():
    """Training had as many of each; here "yes" is rare, and the rows in doubt become "no"."""
    body = _doubtful(n_yes=30, n_no=470)
    jobs = _correcting(_graded(known=(0.5, 0.5)))
    closed = jobs.run(body)
    rows = jobs.answers(closed)
    assert closed.summary.endswith("corrected for other class shares than in training")
    outcome = json.loads(jobs.store.get(closed.summary_key))
    shift, counts = outcome["prior_shift"], outcome["counts"]
    assert (shift["n_rows"], shift["is_corrected"]) == (500, True)
    assert shift["estimated"]["yes"] == pytest.approx(0.06, abs=0.03)
    said = [row["prediction"] for row in rows]
    assert counts["classes"] == {name: said.count(name) for name in ("no", "yes")}
    assert sum(counts["histogram"]) == 500
    for row in rows:
        assert float(row["p_no"]) + float(row["p_yes"]) == pytest.approx(1.0)
        assert float(row["confidence"]) == float(row[f"p_{row['prediction']}"])
        assert row["prediction"] == ("yes" if float(row["p_yes"]) > 0.5 else "no")
    whole = _correcting(_graded(known=(0.5, 0.5)), rows_per_part=1000)
    assert whole.store.get(whole.run(body).result_key) == jobs.store.get(closed.result_key)


def test_a_batch_of_the_same_class_shares_stays_as_it_is():
    """Control: as if nothing had been asked for; so do too few rows, whatever they say."""
    body = _doubtful(n_yes=250, n_no=250)
    plain, asked = Jobs(_graded()), _correcting(_graded(known=(0.5, 0.5)))
    closed = asked.run(body)
    assert plain.answers(plain.run(body)) == asked.answers(closed)
    assert "corrected" not in closed.summary
    assert not json.loads(asked.store.get(closed.summary_key))["prior_shift"]["is_corrected"]
    few = _correcting(_graded(known=(0.5, 0.5)))
    closed = few.run(_doubtful(n_yes=0, n_no=99))
    assert json.loads(few.store.get(closed.summary_key))["prior_shift"] is None


def test_a_correction_that_is_switched_off_stops_with_the_next_batch():
    """The model was trained while the spec asked for it."""
    body = _doubtful(n_yes=30, n_no=470)
    jobs = Jobs(_graded(known=(0.5, 0.5)))
    plain = Jobs(_graded())
    closed = jobs.run(body)
    assert jobs.answers(closed) == plain.answers(plain.run(body))
    assert json.loads(jobs.store.get(closed.summary_key))["prior_shift"] is None


def test_a_batch_that_an_earlier_version_planned_by_rank_fails_with_the_reason():
    """Its plan is read, and names no classes: whose rows are the best would be a guess."""
    jobs = Jobs(_campaign(share=0.1))
    plan = jobs.plan(csv_file(150))
    key = batch_key("p", plan.job_id, PLAN)
    kept = json.loads(jobs.store.get(key))
    jobs.store.objects[key] = json.dumps({**kept, "whole": None, "top_share": 0.1}).encode()
    for part in range(plan.n_parts):
        jobs.score(plan.job_id, part)
    closed = jobs.close()
    assert closed.outcome == "BatchFailed"
    assert "an earlier version of Noria planned it; start it again" in closed.summary


def test_class_shares_of_a_great_batch_come_from_an_even_sample(monkeypatch):
    """Each third row, however it was cut."""
    monkeypatch.setattr(whole, "_MOST_ROWS", 200)
    names = ("no", "yes")
    rows = np.column_stack([np.linspace(0.0, 1.0, 600), np.linspace(1.0, 0.0, 600)])
    for size in (1, 7, 600):
        tables = [
            pa.table({f"p_{name}": rows[start : start + size, n] for n, name in enumerate(names)})
            for start in range(0, 600, size)
        ]
        sampled = whole._sampled(iter(tables), names, 3)
        assert sampled.tolist() == rows[::3].tolist()
    decision = WholeDecision(names, known_shares=(0.5, 0.5), weights=(1.0, 1.0))
    decided = whole.whole_batch(decision, iter(tables), n_rows=600, least=100)
    assert decided.shift.n_rows == 200


def test_more_classes_costs_and_parts_without_an_answer_are_decided_together():
    """In an order that is not the alphabet's; CSV has equal bytes however it was cut."""
    model = {"form": "linear", "link": "softmax", "n_outputs": 3,
             "calibration": {"slope": 0.4, "shift": [0.0, 0.0, 0.0]}}  # fmt: skip
    arrays = {"coefficients": [2.0, 0.0, -1.0], "intercepts": [-8.0, 0.0, 3.0]}
    costs = [[0.0, 1.0, 1.0], [3.0, 0.0, 3.0], [1.0, 1.0, 0.0]]
    bundle = tiny_bundle(
        arrays, task="classification", classes=["m", "z", "a"], model=model,
        decision_weights=[1.0, 1.0, 1.0], decision_costs=costs,
        decision_known_shares=[0.05, 0.05, 0.9],
    )  # fmt: skip
    body = csv_file(600, bad=set(range(120)))  # the first part has no answer
    results = set()
    for rows_per_part in (7, 100, 1000):
        jobs = _correcting(bundle, rows_per_part=rows_per_part)
        closed = jobs.run(body)
        results.add(jobs.store.get(closed.result_key))
    assert len(results) == 1
    outcome = json.loads(jobs.store.get(closed.summary_key))
    assert outcome["prior_shift"]["is_corrected"]
    assert sum(outcome["counts"]["classes"].values()) == 480
    for row in jobs.answers(closed):
        shares = [float(row[f"p_{name}"]) for name in ("m", "z", "a")]
        expected = [
            sum(p * line[said] for p, line in zip(shares, costs, strict=True)) for said in range(3)
        ]
        assert row["prediction"] == ["m", "z", "a"][expected.index(min(expected))]


def _correcting(bundle, **batch):
    return Jobs(bundle, prior_shift="correct", **batch)


def _doubtful(*, n_yes, n_no):
    """Return a file of rows that lie as a calibrated model for equal shares says they do."""
    rng = np.random.default_rng(1)
    at = np.concatenate([rng.normal(6.5, 1.2, n_yes), rng.normal(3.5, 1.2, n_no)])
    at = rng.permutation(np.clip(at, 0.0, 10.0))
    lines = [f"i{number},{value:.6f}" for number, value in enumerate(at.tolist())]
    return ("id,X\n" + "\n".join(lines) + "\n").encode()


def _campaign(*, share, classes=("no", "yes"), calibration=(1.0, 0.0), known=()):
    """Return a model of two classes; the second one's probability grows with x."""
    slope, shift = calibration
    model = {"form": "linear", "link": "softmax", "n_outputs": 1,
             "calibration": {"slope": slope, "shift": [0.0, shift]}}  # fmt: skip
    return tiny_bundle(
        task="classification", classes=list(classes), model=model,
        decision_weights=[1.0, 1.0], decision_share=share, decision_known_shares=list(known),
    )  # fmt: skip


def _graded(*, known=()):
    """Return a model that is calibrated for as many rows of each class as `_doubtful` makes them.

    The logarithm of the odds of two normals is (6.5 - 3.5) / 1.2² (x - 5); the score is 2 x + 1.
    """
    slope = 3.0 / 1.2**2 / 2.0
    return _campaign(share=None, calibration=(slope, -11.0 * slope), known=known)


def test_parts_scored_again_and_closed_again_change_nothing():
    """Same keys, same bytes: nothing doubles."""
    jobs = Jobs()
    first = jobs.run(csv_file(250, bad={7}))
    before = dict(jobs.store.objects)
    for part in (2, 0, 1, 0):
        jobs.score("j1", part)
    assert jobs.close() == first
    assert jobs.store.objects == before


def test_results_may_be_json_lines_or_parquet_and_overwritten():
    """One row each, whatever the form; the name is the file's where the spec says so."""
    jobs = Jobs(format="jsonl", results="overwritten")
    closed = jobs.run(csv_file(120))
    assert closed.result_key == "batch-results/p/rows.jsonl"
    lines = [json.loads(line) for line in jobs.store.get(closed.result_key).splitlines()]
    assert lines[119] == {"line": 121, "id": "i119", "prediction": 19.0}
    jobs = Jobs(format="parquet")
    table = pyarrow.parquet.read_table(
        io.BytesIO(jobs.store.get(jobs.run(csv_file(250)).result_key))
    )
    assert table.column("prediction").to_pylist() == [2.0 * (k % 10) + 1 for k in range(250)]


def test_a_cancelled_job_scores_no_further_part_and_writes_no_results():
    """What was asked for."""
    jobs = Jobs()
    plan = jobs.plan(csv_file(250))
    jobs.score(plan.job_id, 0)
    jobs.store.put(batch_key("p", "j1", CANCELLED), b"{}")
    with pytest.raises(BatchCancelledError):
        jobs.score(plan.job_id, 1)
    closed = jobs.close(failure="States.ExceedToleratedFailureThreshold")
    assert (closed.outcome, closed.result_key) == ("BatchCancelled", None)


def test_a_part_that_is_missing_fails_the_batch():
    """Rows are never missing without an error."""
    jobs = Jobs()
    plan = jobs.plan(csv_file(250))
    jobs.score(plan.job_id, 0)
    with pytest.raises(Exception, match="was never scored"):
        jobs.close()
    assert jobs.close(failure="worker died").outcome == "BatchFailed"


def test_worth_and_bands_come_with_each_row_and_add_up():
    """Edges of training first; of earlier batches once there are enough values."""
    columns = {"x": {**COLUMN, "max": 1e9}}
    worth = {"kind": "business_value", "positive": 0, "contact": None, "amount": "x",
             "edges": [10.0, 20.0], "bands": ["low", "medium", "high"]}  # fmt: skip
    jobs = Jobs(tiny_bundle(columns=columns, postprocess=worth), priorities={"high": "call"})
    section = BusinessValueSection(kind="business_value", amount="x")
    jobs.spec = jobs.spec.model_copy(update={"postprocess": section})
    answers = jobs.answers(jobs.run(csv_file(250)))
    model = Predictor(tiny_bundle(columns=columns, postprocess=worth))
    for k, answer in enumerate(answers[:20]):
        said = model.answer({"x": float(k % 10)})
        assert float(answer["business_value"]) == pytest.approx(said.added["business_value"])
        assert answer["band"] == said.added["band"]
        assert answer["priority"] == ("call" if said.added["band"] == "high" else "")
    counts = json.loads(jobs.store.get(batch_key("p", "j1", OUTCOME)))["counts"]["values"]
    total = sum(float(a["business_value"]) for a in answers)
    assert counts["total"] == pytest.approx(total)
    assert sum(band["total"] for band in counts["bands"].values()) == pytest.approx(total)
    jobs.plan(csv_file(250), folder="j2")
    edges = json.loads(jobs.store.get(batch_key("p", "j2", PLAN)))["edges"]
    assert edges["source"] == "1 earlier batches"
    values = sorted(float(a["business_value"]) for a in answers)
    assert edges["at"][0] == pytest.approx(values[int(0.33 * 250)], abs=values[-1] / 50)


def test_overwritten_results_do_not_keep_the_refusals_of_an_earlier_file():
    """Names that differ after a dot stay apart."""
    jobs = Jobs(results="overwritten")
    jobs.run(csv_file(100, bad={3}))
    closed = jobs.run(csv_file(100), folder="j2")
    assert decode_rows(jobs.store.get(closed.refused_key)) == []
    names = {jobs.run(csv_file(5), f"c.v{k}.csv", folder=f"k{k}").result_key for k in (1, 2)}
    assert names == {"batch-results/p/c.v1.csv", "batch-results/p/c.v2.csv"}


DRIFTED = csv_file(250, n_values=4)


def test_rows_that_differ_from_training_are_told_with_the_results():
    """Which columns, in the summary, the outcome and on the page."""
    jobs = Jobs(is_watched=True)
    closed = jobs.run(DRIFTED)
    assert (closed.outcome, closed.event) == ("BatchCompleted", "BatchCompleted")
    assert "these rows differ from training in x, the predictions" in closed.summary
    outcome = jobs.outcome()
    assert (outcome.health, set(outcome.drifted)) == ("unhealthy", {"x", "(prediction)"})
    assert outcome.drift_key == "monitoring/p/checks/batch-j1/drift.json"
    usual = Jobs(is_watched=True)
    assert "differ" not in usual.run(csv_file(250)).summary
    assert (usual.outcome().health, usual.outcome().drifted) == ("healthy", ())


def test_a_spec_may_hold_the_results_of_drifted_rows_until_a_person_releases_them():
    """The released results are those that would have been published at once."""
    jobs = Jobs(is_watched=True, on_drift="hold")
    held = jobs.run(DRIFTED)
    assert (held.outcome, held.event, held.result_key) == ("BatchHeld", "BatchHeld", None)
    assert held.summary.endswith("the results are held back until: noria release p j1")
    assert not [key for key in jobs.store.objects if key.startswith("batch-results/")]
    assert jobs.close().outcome == "BatchHeld"  # run again, it stays held
    released = jobs.close(release="j1")
    assert (released.outcome, released.job_id) == ("BatchCompleted", "j1")
    at_once = Jobs(is_watched=True)
    expected = at_once.run(DRIFTED)
    assert jobs.store.get(released.result_key) == at_once.store.get(expected.result_key)
    outcome = jobs.outcome()
    assert (outcome.health, outcome.released_at) == ("unhealthy", outcome.finished_at)
    assert jobs.close(release="j1") == released  # once


@pytest.mark.parametrize("body", [csv_file(250), csv_file(50, n_values=4)], ids=["usual", "few"])
def test_a_spec_that_holds_drifted_rows_publishes_all_others(body):
    """Too few rows say nothing, and are not held for it."""
    assert Jobs(is_watched=True, on_drift="hold").run(body).outcome == "BatchCompleted"


def test_rows_that_could_not_be_checked_are_held_where_the_spec_holds_drifted_ones():
    """No comparison, no publication."""
    jobs = Jobs(is_watched=True, on_drift="hold")
    plan = jobs.plan(csv_file(250))
    for part in range(plan.n_parts):
        jobs.score(plan.job_id, part)
    closed = jobs.close(check=None)
    assert closed.outcome == "BatchHeld"
    assert "its rows could not be compared with training" in closed.summary


def test_what_is_released_has_the_form_that_it_was_scored_in():
    """The spec may say another one by then; JSON lines would be called .csv."""
    jobs = Jobs(is_watched=True, on_drift="hold", format="jsonl")
    jobs.run(DRIFTED)
    other = jobs.spec.batch.model_copy(update={"format": "csv"})
    jobs.spec = jobs.spec.model_copy(update={"batch": other})
    released = jobs.close(release="j1")
    assert released.result_key.endswith(".jsonl")
    assert (
        len([json.loads(line) for line in jobs.store.get(released.result_key).splitlines()]) == 250
    )


def test_a_release_never_replaces_the_results_of_a_later_file():
    """Nor do the refused rows of a file that is held lie beside results that are not its own."""
    jobs = Jobs(is_watched=True, on_drift="hold", results="overwritten")
    tuesday = jobs.run(csv_file(250, bad={5}), folder="j2")
    refused = jobs.store.get(tuesday.refused_key)
    results = jobs.store.get(tuesday.result_key)
    held = jobs.run(csv_file(250, bad={7, 8}, n_values=4), folder="j1")
    assert held.outcome == "BatchHeld"
    released = jobs.close(release="j1")
    assert released.result_key == "batch-results/p/2026-01-01/j1/rows.csv"
    assert jobs.store.get(tuesday.result_key) == results
    assert jobs.store.get(tuesday.refused_key) == refused


def test_a_cancellation_after_the_hold_does_not_stop_a_release():
    """The job had ended."""
    jobs = Jobs(is_watched=True, on_drift="hold")
    jobs.run(DRIFTED)
    jobs.store.put(batch_key("p", "j1", CANCELLED), b"{}")
    assert jobs.close(release="j1").outcome == "BatchCompleted"


def test_the_page_of_a_held_file_shows_the_decisions_that_a_release_publishes():
    """Of a campaign the best tenth, not what a threshold says of each row."""
    jobs = Jobs(_campaign(share=0.1), on_drift="hold")
    plan = jobs.plan(csv_file(250))
    for part in range(plan.n_parts):
        jobs.score(plan.job_id, part)
    drifted = BatchCheck("batch-j1", "2026", "v1", "drift", 250, ("x",), (), "k", True)
    assert jobs.close(check=drifted).outcome == "BatchHeld"
    before = jobs.outcome().counts
    jobs.close(release="j1")
    assert before == jobs.outcome().counts
    assert before.classes["yes"] == 25


def test_a_release_changes_no_job_that_is_not_held():
    """Published, rejected and cancelled ones stay as they ended."""
    jobs = Jobs(is_watched=True, on_drift="hold")
    done = jobs.run(csv_file(250))
    assert jobs.close(release="j1") == done


def test_a_release_whose_parts_have_expired_says_to_score_the_file_again():
    """Working files are kept for 90 days."""
    jobs = Jobs(is_watched=True, on_drift="hold")
    jobs.run(DRIFTED)
    del jobs.store.objects["batches/p/j1/answers/000001"]
    with pytest.raises(ModelCorruptError, match="score the file again"):
        jobs.close(release="j1")
    assert jobs.outcome().outcome == "BatchHeld"


def _filed(jobs):
    """Return the answers that can be found by record id, part by part, in order."""
    keys = sorted(key for key in jobs.store.objects if key.startswith("answers/p/"))
    return [FiledRows.from_bytes(jobs.store.get(key)) for key in keys]


def _said(jobs):
    """Return what is filed of each line: prediction and outputs."""
    return {
        line: (rows.prediction(place), rows.outputs[place].tolist())
        for rows in _filed(jobs)
        for place, line in enumerate(rows.lines.tolist())
    }


def test_the_answers_of_a_published_file_can_be_found_by_record_id():
    """Those that were given: a refused row has none."""
    jobs = Jobs()
    closed = jobs.run(csv_file(250, bad={3}))
    shown = {int(row["line"]): float(row["prediction"]) for row in jobs.answers(closed)}
    assert {line: value for line, (value, _) in _said(jobs).items()} == shown
    (second,) = [
        r.lines.tolist()
        for r in _filed(jobs)[1:2]
        for r in [r.at_rows(r.named(numbers_of("p", "i120")))]
    ]
    assert second == [122]
    assert _filed(jobs)[0].job[:3] == ("j1", "rows.csv", "v1")


def test_personal_ids_are_filed_as_hashes_of_the_project():
    """Whoever has the id finds its row; of the bytes no id can be read, or told by its number."""
    jobs = Jobs(bundle=tiny_bundle(private=["record_id"]))
    jobs.run(csv_file(50))
    (rows,) = _filed(jobs)
    assert rows.numbers[7].tolist() == private_numbers("p", ["i7"]).tolist()
    assert rows.at_rows(rows.named(numbers_of("p", "i7"))).lines.tolist() == [9]
    plain = Jobs()
    plain.run(csv_file(50))
    assert not set(_filed(plain)[0].numbers.ravel()) & set(rows.numbers.ravel())


@pytest.mark.parametrize("of", ["no ids", "a try", "rows without a cell"])
def test_rows_without_an_id_are_filed_nowhere(of):
    """Nobody could ask for them; and the first rows of a file, for a try, are no answers."""
    body = csv_file(50)
    jobs = Jobs(id_columns=() if of == "no ids" else ("id",))
    if of == "rows without a cell":
        body = b"id,X\n" + b",1\n" * 50
    closed = jobs.run(body, limit=10 if of == "a try" else None)
    assert closed.outcome == "BatchCompleted"
    assert not _said(jobs)


def test_a_file_decided_as_a_whole_is_filed_as_its_results_say():
    """Decisions and corrected probabilities, however the file was cut."""
    for jobs in (Jobs(_campaign(share=0.1)), _correcting(_graded(known=(0.5, 0.5)))):
        closed = jobs.run(_doubtful(n_yes=30, n_no=470))
        assert _said(jobs) == {
            int(row["line"]): (row["prediction"], [float(row["p_no"]), float(row["p_yes"])])
            for row in jobs.answers(closed)
        }
        assert len(_said(jobs)) == 500


def _by_version(jobs):
    found = {}
    for rows in _filed(jobs):
        said = found.setdefault((rows.job.model_version, rows.job.is_shadow), {})
        said |= dict(zip(rows.lines.tolist(), rows.outputs[:, 0].tolist(), strict=True))
    return found


def test_beside_a_champion_on_probation_the_one_before_answers_and_is_not_published():
    """Labels compare both, row by row; the results and their counts are the champion's."""
    jobs = Jobs()
    jobs.put_on_probation(tiny_bundle({"coefficients": [3.0], "intercepts": [1.0]}))
    closed = jobs.run(csv_file(250))
    found = _by_version(jobs)
    assert set(found) == {("v2", False), ("v1", True)}
    assert found["v2", False][3] == 4.0
    assert found["v1", True][3] == 3.0
    assert len(found["v1", True]) == len(found["v2", False]) == 250
    assert float(jobs.answers(closed)[1]["prediction"]) == 4.0
    assert jobs.outcome().model_version == "v2"


def test_a_champion_before_that_cannot_be_read_stops_no_batch():
    """There is nothing to compare then."""
    jobs = Jobs()
    jobs.put_on_probation(tiny_bundle({"coefficients": [3.0], "intercepts": [1.0]}))
    key = next(k for k in jobs.store.objects if k.startswith("models/p/v1/") and "bundle" in k)
    jobs.store.objects[key] = b"broken"
    assert jobs.run(csv_file(250)).outcome == "BatchCompleted"
    assert set(_by_version(jobs)) == {("v2", False)}


@pytest.mark.parametrize("fault", ["it breaks", "it reads another column"])
def test_a_champion_before_that_cannot_answer_a_file_stops_no_batch(fault, monkeypatch):
    """Nor is a row refused for what only it would read."""
    jobs = Jobs()
    other = {"x": COLUMN, "old": {**COLUMN, "required": False}}
    jobs.promote("v1b", tiny_bundle(columns=other))
    jobs.put_on_probation(tiny_bundle(), before="v1b")
    if fault == "it breaks":
        monkeypatch.setattr(score_part, "_shadow", lambda *_: _Breaking())
    closed = jobs.run(b'{"id": "a", "x": 2, "old": [1]}\n', "rows.jsonl")
    assert closed.outcome == "BatchCompleted"
    assert set(_by_version(jobs)) == {("v2", False)}


class _Breaking:
    """A model that fails at every row."""

    predictor = SimpleNamespace(columns={"x": None})

    def answer(self, *_):
        raise ZeroDivisionError


def test_rows_that_were_decided_together_say_so():
    """A threshold of the champion before is no comparison for the best tenth."""
    jobs = Jobs(_campaign(share=0.1))
    jobs.run(_doubtful(n_yes=30, n_no=470))
    assert {rows.job.is_whole for rows in _filed(jobs)} == {True}
    plain = Jobs()
    plain.run(csv_file(50))
    assert {rows.job.is_whole for rows in _filed(plain)} == {False}


@pytest.mark.parametrize("why", ["over", "a try"])
def test_without_a_probation_or_on_a_try_the_champion_before_is_not_asked(why):
    """It would cost as much as the champion."""
    jobs = Jobs()
    jobs.put_on_probation(tiny_bundle())
    if why == "over":
        jobs.clock = FixedClock(jobs.clock.now() + timedelta(days=3))
    jobs.run(csv_file(50), limit=None if why == "over" else 10)
    assert not any("/shadow/" in key for key in jobs.store.objects)


def test_what_is_held_back_is_filed_once_it_is_released():
    """Nobody has been answered before."""
    jobs = Jobs(is_watched=True, on_drift="hold")
    assert jobs.run(csv_file(500, n_values=2)).outcome == "BatchHeld"
    assert not _said(jobs)
    jobs.close(release="j1")
    assert len(_said(jobs)) == 500


def test_a_job_that_an_earlier_version_planned_has_no_filed_answers_and_ends_well():
    """Its plan does not ask for them."""
    jobs = Jobs()
    plan = jobs.plan(csv_file(50))
    key = batch_key("p", plan.job_id, PLAN)
    earlier = json.loads(jobs.store.get(key))
    del earlier["is_filed"]
    jobs.store.objects[key] = json.dumps(earlier).encode()
    jobs.score(plan.job_id, 0)
    assert jobs.close().outcome == "BatchCompleted"
    assert not _said(jobs)


def test_filed_answers_say_whether_their_rows_are_evidence_and_were_corrected():
    """So that nothing is judged on training rows, nor corrected twice."""
    watched = Jobs(is_watched=True)
    watched.run(csv_file(500))
    unwatched = Jobs(is_watched=True, monitored=False)
    unwatched.run(csv_file(500))
    corrected = _correcting(_graded(known=(0.5, 0.5)))
    corrected.run(_doubtful(n_yes=30, n_no=470))
    flags = [
        {(rows.job.is_evidence, rows.job.is_corrected) for rows in _filed(jobs)}
        for jobs in (watched, unwatched, corrected)
    ]
    assert flags == [{(True, False)}, {(False, False)}, {(False, True)}]


def test_what_is_released_is_the_evidence_that_it_was_when_it_was_held():
    """Its profile was filed then."""
    jobs = Jobs(is_watched=True, on_drift="hold")
    jobs.run(csv_file(500, n_values=2))
    jobs.close(release="j1")
    assert {rows.job.is_evidence for rows in _filed(jobs)} == {True}
