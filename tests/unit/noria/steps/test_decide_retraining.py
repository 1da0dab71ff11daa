"""Whether to retrain, and on which files."""

import json
from datetime import timedelta

import pytest

from noria.data.source_lists import MOST_KEYS, listed_keys
from tests.support.checks import decided, drifting, new_file, whole_check
from tests.support.production import START, Production, loan_rows


def test_drift_trains_again_on_the_rows_that_came_since():
    """Data from before the drift would train an outdated model."""
    p, end = drifting()
    new_file(p)
    _, _, decision, report = whole_check(p, end + timedelta(hours=1))
    assert decision.retrain
    assert "data_drift" in decision.codes
    assert decision.source_keys == ("inbox/loans/2/new.csv",)
    assert decision.execution_name.startswith("retrain-loans-")
    assert report.health == "unhealthy"
    assert "x: " in report.summary


def test_a_file_of_rows_from_before_the_change_is_waited_out():
    """A day's labels come a day later: the first files after an alarm hold the old world."""
    p, end = drifting(row_age_hours=48)
    new_file(p, "old-rows.csv")
    early = decided(p, end + timedelta(hours=1))[2]
    assert early.codes == ("no_new_rows",)
    assert "may be 48 h old" in early.summary
    at = end + timedelta(hours=48)
    p.hours(2, start=at - timedelta(hours=2), shift=0.8, n=150)
    new_file(p, "new-rows.csv")
    late = decided(p, at)[2]
    assert late.retrain
    assert late.source_keys == ("inbox/loans/2/new-rows.csv",)


def test_without_new_rows_training_again_cannot_help():
    """It is said, instead of a run that must fail to improve."""
    p, end = drifting()
    _, _, decision = decided(p, end + timedelta(hours=1))
    assert not decision.retrain
    assert decision.codes == ("no_new_rows",)
    assert decision.summary.startswith("it should train, but not now: ")
    assert "put a file of them into the inbox. Reasons: " in decision.summary


def test_a_check_that_only_looks_does_not_train():
    """The hourly schedule tells; the six-hourly one acts."""
    p, end = drifting()
    new_file(p)
    _, _, decision = decided(p, end + timedelta(hours=1), may_retrain=False)
    assert not decision.retrain
    assert "this check does not train" in decision.summary


def test_twelve_drifting_days_train_once_a_cool_down():
    """A storm of checks is no storm of trainings."""
    p, end = drifting(cool_down_hours=48, max_per_day=1)
    trained = []
    for check in range(12 * 2):
        at = end + timedelta(hours=12 * (check + 1))
        new_file(p, f"new-{check}.csv")
        p.hours(1, start=at - timedelta(hours=1), shift=0.8, n=150, seed=4000 + check)
        _, _, decision = decided(p, at, f"check-{check}")
        if decision.retrain:
            trained.append(decision.execution_name)
    assert len(trained) == 6
    assert len(set(trained)) == 6


def _tried_in_vain(p, at, *checks):
    """Let checks decide to train, and each training end without a promotion."""
    for number, hours in enumerate(checks):
        new_file(p, f"new-{number}.csv")
        decision = decided(p, at + timedelta(hours=hours), f"try-{number}")[2]
        assert decision.retrain
        p.store.put(f"runs/loans/{decision.run_id}/decision.json", b"{}")
    new_file(p, "newest.csv")


def test_trainings_that_promote_nothing_are_tried_ever_more_seldom():
    """The same drift, the same rows and some more: the cool-down doubles each time."""
    p, end = drifting(cool_down_hours=6, max_per_day=24)
    _tried_in_vain(p, end, 1, 14)  # 12 hours after the first
    early = decided(p, end + timedelta(hours=14 + 23), "early")[2]
    assert early.codes == ("cool_down",)
    assert "2 time(s) in vain since the promotion" in early.summary
    assert decided(p, end + timedelta(hours=14 + 25), "late")[2].retrain


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_a_training_that_ended_has_ended_also_when_its_files_have_expired(is_looked_at):
    """Else files that were refused are new again. The control: nobody looked before they expired."""
    p, end = drifting(cool_down_hours=6, max_per_day=24)
    _tried_in_vain(p, end, 1, 14)
    if is_looked_at:
        decided(p, end + timedelta(hours=15), "look")
    p.store.objects = {k: v for k, v in p.store.objects.items() if not k.startswith("runs/")}
    later = decided(p, end + timedelta(hours=14 + 23), "later")[2]
    assert (later.codes == ("cool_down",)) == is_looked_at
    assert ("2 time(s) in vain" in later.summary) == is_looked_at


def test_a_collapse_waits_for_one_cool_down_only():
    """Labels that say disaster outrank trainings that were in vain."""
    p, end = drifting(cool_down_hours=6, max_per_day=24)
    _tried_in_vain(p, end, 1, 14)
    rows = loan_rows(300, seed=92)
    at = end + timedelta(hours=22)
    ids = p.log(rows, at - timedelta(hours=1))
    p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5, flip=True)], at)
    assert decided(p, at + timedelta(minutes=30), "collapse")[2].retrain


def test_an_old_champion_is_no_reason_to_try_in_vain_more_often():
    """Its age only ever grows: a daily file that never wins would mean a training every day."""
    p, end = drifting(
        cool_down_hours=6, max_per_day=24, on=("data_drift", "age"), max_age_days=0.01
    )
    _tried_in_vain(p, end, 1, 14)
    early = decided(p, end + timedelta(hours=14 + 23), "early")[2]
    assert (early.retrain, early.codes) == (False, ("cool_down",))
    assert "2 time(s) in vain since the promotion" in early.summary


def test_what_the_spec_asks_for_beside_findings_waits_for_one_cool_down_only():
    """A file that is to be trained on is trained on."""
    p, end = drifting(cool_down_hours=6, max_per_day=24, on=("data_drift", "new_file"))
    _tried_in_vain(p, end, 1, 8)
    assert decided(p, end + timedelta(hours=15), "file")[2].retrain


def test_a_decision_that_is_asked_for_again_is_the_same():
    """A step that is retried after its write must not count as a second training."""
    p, end = drifting()
    new_file(p)
    at = end + timedelta(hours=1)
    first = decided(p, at)[2]
    key = first.retraining_key
    body = p.store.objects.pop(key)  # the note was taken, the decision was not written
    again = decided(p, at)[2]
    assert again == first
    assert json.loads(p.store.get(key))["retrain"] is json.loads(body)["retrain"] is True


def test_two_checks_at_once_train_once():
    """The place of the day is taken by one of them."""
    p, end = drifting(max_per_day=5)
    new_file(p)
    at = end + timedelta(hours=1)
    first = decided(p, at, "one")[2]
    second = decided(p, at, "two")[2]
    assert first.retrain
    assert not second.retrain


def test_a_person_may_force_it():
    """Whatever stands against it."""
    p = Production()
    end = p.hours(6)
    decision = decided(p, end, forced=True)[2]
    assert decision.retrain
    assert decision.codes == ("manual",)


def test_age_and_new_files_are_reasons_where_the_spec_listens():
    """And none where it does not."""
    p = Production(retraining={"on": ("age", "new_rows", "new_file"), "min_new_rows": 300})
    end = p.hours(3, start=START + timedelta(days=8))
    new_file(p, n=300)
    assert set(decided(p, end)[2].codes) == {"age", "new_rows", "new_file"}
    q = Production()
    end = q.hours(3, start=START + timedelta(days=8))
    new_file(q)
    assert decided(q, end)[2].codes == ()


def test_inputs_that_have_drifted_are_no_reason_while_labels_say_that_all_is_well():
    """The labels of the window know whether it matters. The drift is told all the same."""
    p, end = drifting()
    new_file(p)
    rows = loan_rows(2000, seed=90, shift=0.8)
    ids = p.log(rows, end)
    truth = ["yes" if t else "no" for t in p.truth(rows, seed=5)]
    p.label(ids, truth, end + timedelta(minutes=20))
    drift, performance, decision, report = whole_check(p, end + timedelta(hours=1))
    assert (drift.verdict, performance.verdict) == ("drift", "good")
    assert not decision.retrain
    assert "on labels the model is as good as it was" in decision.summary
    assert report.health == "unhealthy"


def test_few_good_labels_do_not_outrank_a_drift():
    """They are good as far as one can see; the interval holds a drop that would matter."""
    p, end = drifting()
    new_file(p)
    rows = loan_rows(80, seed=90, shift=0.8)
    ids = p.log(rows, end)
    truth = ["yes" if t else "no" for t in p.truth(rows, seed=5)]
    p.label(ids, truth, end + timedelta(minutes=20))
    _, performance, decision = decided(p, end + timedelta(hours=1))
    assert performance.verdict == "good"
    assert decision.retrain


def test_labels_of_earlier_answers_do_not_speak_for_the_window():
    """They were good before the inputs moved: the drift is a reason."""
    p = Production(retraining={"row_age_hours": 0.5})
    rows = loan_rows(300, seed=91)
    ids = p.log(rows, START)
    p.store.put("inbox/loans/1/a.csv", b"x,y\n1,no\n")
    later = START + timedelta(hours=30)
    end = p.hours(6, start=later, shift=0.8)
    p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5)], end)
    decided(p, end)
    new_file(p)
    _, performance, decision = decided(p, end + timedelta(hours=1))
    assert performance.verdict == "good"
    assert decision.retrain


def _miscalibrated(split="time", **retraining):
    """Return a project whose ranking holds and whose probabilities are far too unsure."""
    watch = {"watch": ("calibration_error",)}
    p = Production(retraining=retraining, monitoring=watch, split={"kind": split})
    rows = loan_rows(600, seed=78)
    ids = p.log(rows, START + timedelta(minutes=5))
    at = START + timedelta(hours=1)
    p.label(ids, ["yes" if row["x"] > 0 else "no" for row in rows], at)
    new_file(p)
    return p, at + timedelta(minutes=30)


def test_a_calibration_that_alone_is_degraded_is_learned_anew():
    """No new model is needed; people are told so by an event of its own."""
    p, at = _miscalibrated()
    _, performance, decision, report = whole_check(p, at)
    assert performance.verdict == "degraded"
    assert (decision.retrain, decision.how, decision.codes) == (
        True,
        "recalibrate",
        ("calibration",),
    )
    assert decision.summary.startswith("recalibrating: calibration_error")
    assert report.event == "CalibrationDegraded"


def test_without_a_split_by_time_a_model_is_trained():
    """Old rows would judge what new ones teach."""
    p, at = _miscalibrated(split="random")
    assert decided(p, at)[2].how == "train"


def test_a_spec_may_always_train():
    """The alert stays; the remedy is a whole training."""
    p, at = _miscalibrated(how="search")
    _, _, decision, report = whole_check(p, at)
    assert (decision.retrain, decision.how) == (True, "train")
    assert report.event == "CalibrationDegraded"


def test_any_other_reason_trains_a_model():
    """Recalibration mends nothing else."""
    p, end = drifting()
    new_file(p)
    _, _, decision, report = whole_check(p, end + timedelta(hours=1))
    assert (decision.retrain, decision.how) == (True, "train")
    assert report.event == "ModelUnhealthy"


def test_as_many_new_rows_as_it_was_trained_on_are_a_reason_where_the_spec_listens():
    """Small sets still learn from more rows."""
    p = Production(retraining={"on": ("growth",)})
    end = p.hours(3)
    new_file(p, n=50)
    assert decided(p, end)[2].codes == ()
    new_file(p, "more.csv", n=60)
    assert decided(p, end + timedelta(hours=1))[2].codes == ("growth",)


def test_a_running_rollout_is_waited_for():
    """A second challenger would push the first one out."""
    p, end = drifting()
    new_file(p)
    p.add_version("v2")
    p.roll_out("v2", at=end)
    decision = decided(p, end + timedelta(hours=1))[2]
    assert decision.codes == ("rollout_running",)


def test_a_training_that_failed_leaves_its_rows_new():
    """A fault is no answer: after the cool-down it is tried again on the same file."""
    p, end = drifting(cool_down_hours=6, max_per_day=9)
    new_file(p)
    first = decided(p, end + timedelta(hours=1))[2]
    again = decided(p, end + timedelta(hours=8), "later")[2]
    assert (first.retrain, again.retrain) == (True, True)
    p.store.put(f"runs/loans/{again.run_id}/decision.json", b"{}")
    done = decided(p, end + timedelta(hours=21), "done")[2]
    assert done.codes == ("no_new_rows",)


def test_a_forced_training_has_a_name_of_its_own():
    """An automatic one of the same hours must not swallow it."""
    p, end = drifting()
    new_file(p)
    at = end + timedelta(hours=1)
    names = {
        decided(p, at)[2].execution_name,
        decided(p, at, "hand", forced=True)[2].execution_name,
    }
    assert len(names) == 2


def test_tables_to_join_are_no_rows_and_always_come_along(messages):
    """Users and businesses change seldom; reviews without them have gaps."""
    p = Production(retraining={"rows": "since_change", "row_age_hours": 0.5})
    joins = tuple(
        join.model_copy(update={"files": f"*{name}*"})
        for join, name in zip(messages.dataset.joins, ("user", "business"), strict=True)
    )
    dataset = p.spec.dataset.model_copy(update={"joins": joins})
    p.spec = p.spec.model_copy(update={"dataset": dataset})
    p.store.put("inbox/loans/1/user.csv", b"id\n1\n")
    end = p.hours(6, shift=0.8)
    decided(p, end)
    p.store.put("inbox/loans/2/business.csv", b"id\n1\n")
    assert decided(p, end + timedelta(hours=1))[2].codes == ("no_new_rows",)
    new_file(p)
    decision = decided(p, end + timedelta(hours=2))[2]
    assert decision.retrain
    assert {k.rpartition("/")[2] for k in decision.source_keys} == {"user.csv", "business.csv", "new.csv"}  # fmt: skip


def test_an_inbox_of_many_files_is_passed_as_the_key_of_its_list():
    """A state takes 256 KiB; the decision in the bucket names them all."""
    p, end = drifting()
    for number in range(MOST_KEYS + 5):
        new_file(p, f"new-{number:04d}.csv")
    _, _, decision = decided(p, end + timedelta(hours=1))
    assert decision.retrain
    (key,) = decision.source_keys
    assert key.endswith("/source-keys.json")
    assert len(listed_keys(p.store, decision.source_keys)) == MOST_KEYS + 5


def test_files_that_a_champion_was_trained_without_stay_out_of_a_training_by_age():
    """It was trained since a change; with the files of before it would unlearn the present."""
    p = Production(retraining={"on": ("age",), "rows": "since_change"})
    p.store.put("inbox/loans/0/old.csv", b"x,y\n1,no\n")
    assert decided(p, p.hours(3))[2].retrain is False
    p.store.put("inbox/loans/1/a.csv", b"x,y\n1,no\n")  # what the champion was trained on
    assert decided(p, p.hours(3, start=START + timedelta(days=1)))[2].retrain is False
    new_file(p)
    late = p.hours(3, start=START + timedelta(days=9), seed=300)
    decision = decided(p, late)[2]
    assert (decision.retrain, decision.codes) == (True, ("age",))
    assert set(decision.source_keys) == {"inbox/loans/1/a.csv", "inbox/loans/2/new.csv"}
    everything = Production(retraining={"on": ("age",)})
    everything.store.put("inbox/loans/0/old.csv", b"x,y\n1,no\n")
    new_file(everything)
    late = everything.hours(3, start=START + timedelta(days=9))
    assert "inbox/loans/0/old.csv" in decided(everything, late)[2].source_keys


def test_a_file_that_a_check_first_saw_together_with_the_trained_ones_is_new():
    """Nothing says that it is older: it came before the first check."""
    p = Production(retraining={"on": ("age",), "rows": "since_change"})
    p.store.put("inbox/loans/1/a.csv", b"x,y\n1,no\n")
    new_file(p)
    decision = decided(p, p.hours(3, start=START + timedelta(days=9)))[2]
    assert set(decision.source_keys) == {"inbox/loans/1/a.csv", "inbox/loans/2/new.csv"}
    gone = Production(retraining={"on": ("age",), "rows": "since_change"})
    new_file(gone)  # what the champion was trained on is no longer there
    assert decided(gone, gone.hours(3, start=START + timedelta(days=9)))[2].retrain
