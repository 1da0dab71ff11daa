"""The monitoring steps in their order, on a project in memory."""

import json
from datetime import timedelta

import pytest

from noria.api.checks import last_check, set_baseline
from noria.errors import NoChampionError
from noria.steps.check_drift import CheckDriftRequest, check_drift
from noria.steps.check_performance import CheckPerformanceRequest, check_performance
from noria.steps.decide_retraining import DecideRetrainingRequest, decide_retraining
from noria.steps.profile_log_chunk import ProfileLogChunkRequest, profile_log_chunk
from noria.steps.write_monitoring_report import (
    WriteMonitoringReportRequest,
    write_monitoring_report,
)
from tests.support.fakes import FixedClock, MemoryAliases
from tests.support.production import START, Production, loan_rows


def _drift(p, at, check_id=None):
    return check_drift(
        CheckDriftRequest("loans", check_id or f"c-{at:%d-%H}", at.isoformat()),
        spec=p.spec, store=p.store, aliases=p.aliases, clock=FixedClock(at),
    )  # fmt: skip


def _whole(p, at, check_id=None, **decide):
    """Run every step of a check; return drift, performance, decision, report."""
    name = check_id or f"c-{at:%d-%H}"
    found = _decided(p, at, name, **decide)
    report = write_monitoring_report(
        WriteMonitoringReportRequest("loans", name), spec=p.spec, store=p.store
    )
    return *found, report


def _decided(p, at, check_id=None, **decide):
    """Run a check up to its decision."""
    name = check_id or f"c-{at:%d-%H}"
    here = {"spec": p.spec, "store": p.store, "aliases": p.aliases}
    drift = _drift(p, at, name)
    performance = check_performance(
        CheckPerformanceRequest("loans", name, at.isoformat()), clock=FixedClock(at), **here
    )
    decision = decide_retraining(
        DecideRetrainingRequest("loans", name, at.isoformat(), **decide), **here
    )
    return drift, performance, decision


def _new_file(p, name="new.csv", n=300):
    p.store.put(f"inbox/loans/2/{name}", b"x,y\n" + b"1,no\n" * n)


def test_quiet_traffic_is_stable_and_few_rows_are_insufficient():
    """Never "no drift" on too few rows."""
    p = Production()
    p.log(loan_rows(30, seed=9), START + timedelta(minutes=5))
    drift, _, _, report = _whole(p, START + timedelta(hours=1))
    assert (drift.verdict, report.health) == ("insufficient_data", "insufficient_data")
    assert report.summary.startswith("insufficient data, which is not 'no drift' (30 answers")
    end = p.hours(6, start=START + timedelta(hours=1))
    assert _drift(p, end).verdict == "stable"


def test_drift_is_confirmed_in_the_second_window_in_a_row():
    """One window may be chance; two are not."""
    p = Production()
    middle = p.hours(3)
    assert _drift(p, middle).verdict == "stable"
    one = p.hours(6, start=middle, shift=0.8, seed=500)
    first = _drift(p, one)
    second = _drift(p, one + timedelta(hours=1))
    assert (first.verdict, second.verdict) == ("stable", "drift")
    assert "x" in second.drifted
    assert "z" not in second.drifted


def test_a_check_at_the_same_time_counts_once():
    """Both schedules fall together four times a day."""
    p = Production()
    end = p.hours(6, shift=0.8)
    assert _drift(p, end, "hourly").verdict == "stable"
    assert _drift(p, end, "full").verdict == "stable"
    assert _drift(p, end + timedelta(hours=1), "next").verdict == "drift"


def test_a_new_champion_starts_with_a_clean_sheet():
    """Windows never reach back before its promotion."""
    p = Production()
    end = p.hours(6, shift=0.8)
    _drift(p, end)
    p.add_version("v2")
    p.promote("v2", at=end)
    found = _drift(p, end + timedelta(hours=1))
    assert (found.verdict, found.model_version, found.n_rows) == ("insufficient_data", "v2", 0)


def test_a_baseline_makes_the_new_world_normal_until_the_next_promotion():
    """Somebody knows why the traffic changed."""
    p = Production()
    end = p.hours(12, shift=0.8)
    set_baseline(
        "loans", {"hours": 12}, artifacts=p.store, aliases=p.aliases, clock=FixedClock(end)
    )
    later = p.hours(4, start=end, shift=0.8, seed=900)
    for hour in range(3):
        assert _drift(p, later + timedelta(hours=hour)).verdict == "stable"


def test_without_a_champion_there_is_nothing_to_watch():
    """The state machine ends quietly on it."""
    p = Production()
    p.aliases = MemoryAliases()
    with pytest.raises(NoChampionError):
        _drift(p, START)


def test_the_same_chunk_again_changes_nothing():
    """Events are delivered at least once."""
    p = Production()
    p.log(loan_rows(20), START)
    (key,) = [k for k in p.store.objects if k.startswith("predictions/")]
    before = dict(p.store.objects)
    result = profile_log_chunk(ProfileLogChunkRequest(key), artifacts=p.store)
    assert p.store.objects == before
    assert (result.n_records, result.n_unreadable, result.n_profiles) == (20, 0, 1)


def test_unreadable_lines_of_a_chunk_are_counted_and_the_others_kept():
    """Half a line at the end of a chunk loses one record."""
    p = Production()
    p.log(loan_rows(20), START)
    (key,) = [k for k in p.store.objects if k.startswith("predictions/")]
    import gzip

    body = gzip.decompress(p.store.get(key))
    p.store.put(key, body + body[:100] + b"\n[]\n")
    result = profile_log_chunk(ProfileLogChunkRequest(key), artifacts=p.store)
    assert (result.n_records, result.n_unreadable) == (20, 2)


def test_performance_is_measured_on_labels_and_estimated_without():
    """Labels that come in time, of this champion's answers."""
    p = Production()
    rows = loan_rows(400, seed=77)
    ids = p.log(rows, START + timedelta(minutes=5))
    at = START + timedelta(hours=30)
    p.label(ids[:200], ["yes" if t else "no" for t in p.truth(rows[:200], seed=5)], at)
    # The rows are older than the window of answers: only labels tell of them.
    p.hours(10, start=START + timedelta(hours=20))
    _, performance, _, _ = _whole(p, at + timedelta(hours=1))
    assert performance.n_labels == 200
    assert performance.verdict == "good"
    assert performance.estimated_verdict == "good"


def test_a_changed_relation_is_seen_on_labels_only():
    """Concept drift: the inputs look as ever, the answers are wrong."""
    p = Production()
    rows = loan_rows(300, seed=78)
    at = START + timedelta(hours=2)
    ids = p.log(rows, START + timedelta(minutes=5))
    p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5, flip=True)], at)
    _new_file(p)
    drift, performance, decision, _ = _whole(p, at + timedelta(minutes=30))
    assert drift.verdict == "stable"
    assert (performance.verdict, performance.estimated_verdict) == ("degraded", "good")
    assert decision.retrain
    assert decision.codes == ("performance",)


def test_too_few_labels_are_insufficient():
    """49 are not 50."""
    p = Production()
    ids = p.log(loan_rows(60), START)
    p.label(ids[:49], ["no"] * 49, START + timedelta(hours=1))
    _, performance, _, _ = _whole(p, START + timedelta(hours=2))
    assert performance.verdict == "insufficient_data"


def _drifting(**sections):
    p = Production(retraining={"rows": "since_change", "row_age_hours": 0.5, **sections})
    p.store.put("inbox/loans/1/a.csv", b"x,y\n1,no\n")
    end = p.hours(6, shift=0.8)
    _whole(p, end)
    return p, end


def test_drift_trains_again_on_the_rows_that_came_since():
    """Rows from before the change teach a world that is gone."""
    p, end = _drifting()
    _new_file(p)
    _, _, decision, report = _whole(p, end + timedelta(hours=1))
    assert decision.retrain
    assert "data_drift" in decision.codes
    assert decision.source_keys == ("inbox/loans/2/new.csv",)
    assert decision.execution_name.startswith("retrain-loans-")
    assert report.health == "unhealthy"
    assert "x: " in report.summary


def test_a_file_of_rows_from_before_the_change_is_waited_out():
    """A day's labels come a day later: the first files after an alarm hold the old world."""
    p, end = _drifting(row_age_hours=48)
    _new_file(p, "old-rows.csv")
    early = _whole(p, end + timedelta(hours=1))[2]
    assert early.codes == ("no_new_rows",)
    assert "may be 48 h old" in early.summary
    at = end + timedelta(hours=48)
    p.hours(2, start=at - timedelta(hours=2), shift=0.8, n=150)
    _new_file(p, "new-rows.csv")
    late = _whole(p, at)[2]
    assert late.retrain
    assert late.source_keys == ("inbox/loans/2/new-rows.csv",)


def test_without_new_rows_training_again_cannot_help():
    """It is said, instead of a run that must fail to improve."""
    p, end = _drifting()
    _, _, decision, _ = _whole(p, end + timedelta(hours=1))
    assert not decision.retrain
    assert decision.codes == ("no_new_rows",)
    assert "put a file of them into the inbox" in decision.summary


def test_a_check_that_only_looks_does_not_train():
    """The hourly schedule tells; the six-hourly one acts."""
    p, end = _drifting()
    _new_file(p)
    _, _, decision, _ = _whole(p, end + timedelta(hours=1), may_retrain=False)
    assert not decision.retrain
    assert "this check does not train" in decision.summary


def test_thirty_drifting_days_train_once_a_cool_down():
    """A storm of checks is no storm of trainings."""
    p, end = _drifting(cool_down_hours=48, max_per_day=1)
    trained = []
    for check in range(30 * 2):
        at = end + timedelta(hours=12 * (check + 1))
        _new_file(p, f"new-{check}.csv")
        p.hours(1, start=at - timedelta(hours=1), shift=0.8, n=150, seed=4000 + check)
        _, _, decision = _decided(p, at, f"check-{check}")
        if decision.retrain:
            trained.append(decision.execution_name)
    assert len(trained) == 15
    assert len(set(trained)) == 15


def test_a_decision_that_is_asked_for_again_is_the_same():
    """A step that is retried after its write must not count as a second training."""
    p, end = _drifting()
    _new_file(p)
    at = end + timedelta(hours=1)
    first = _whole(p, at)[2]
    key = first.retraining_key
    body = p.store.objects.pop(key)  # the note was taken, the decision was not written
    again = _whole(p, at)[2]
    assert again == first
    assert json.loads(p.store.get(key))["retrain"] is json.loads(body)["retrain"] is True


def test_two_checks_at_once_train_once():
    """The place of the day is taken by one of them."""
    p, end = _drifting(max_per_day=5)
    _new_file(p)
    at = end + timedelta(hours=1)
    first = _whole(p, at, "one")[2]
    second = _whole(p, at, "two")[2]
    assert first.retrain
    assert not second.retrain


def test_somebody_may_force_it():
    """Whatever stands against it."""
    p = Production()
    end = p.hours(6)
    decision = _whole(p, end, forced=True)[2]
    assert decision.retrain
    assert decision.codes == ("manual",)


def test_age_and_new_files_are_reasons_where_the_spec_listens():
    """And none where it does not."""
    p = Production(retraining={"on": ("age", "new_rows", "new_file"), "min_new_rows": 300})
    end = p.hours(3, start=START + timedelta(days=8))
    _new_file(p, n=300)
    assert set(_whole(p, end)[2].codes) == {"age", "new_rows", "new_file"}
    q = Production()
    end = q.hours(3, start=START + timedelta(days=8))
    _new_file(q)
    assert _whole(q, end)[2].codes == ()


def test_a_running_rollout_is_waited_for():
    """A second challenger would push the first one out."""
    p, end = _drifting()
    _new_file(p)
    p.add_version("v2")
    p.roll_out("v2", at=end)
    decision = _whole(p, end + timedelta(hours=1))[2]
    assert decision.codes == ("rollout_running",)


def test_the_api_shows_the_last_check():
    """Drift, metrics, features, performance: one check, four views."""
    p, end = _drifting()
    _whole(p, end + timedelta(hours=1))
    drift = last_check(p.store, "loans", "drift")
    assert drift["drift_detected"]
    assert last_check(p.store, "loans", "metrics")["total_predictions"] == 360
    assert last_check(p.store, "loans", "features")["features"]["x"]["drift_detected"]
    assert "realised" in last_check(p.store, "loans", "performance")
    json.dumps(drift, allow_nan=False)


def test_the_report_is_one_page_that_shows_then_and_now():
    """What comes from the rows is text."""
    p, end = _drifting()
    *_, report = _whole(p, end + timedelta(hours=1))
    page = p.store.get(report.report_key).decode()
    assert page.startswith("<!doctype html>")
    assert page.count("data:image/svg+xml;base64,") == 3
    assert "<strong>x</strong>" in page
    assert "http" not in page.replace("http-equiv", "")


def test_personal_columns_are_compared_by_signals_only():
    """The log masks the note; its length and frequent words are still watched."""
    p = Production()
    at = START + timedelta(minutes=5)
    rows = [{**row, "note": "urgente " * 30} for row in loan_rows(300, seed=3)]
    p.log(rows, at)
    _drift(p, START + timedelta(hours=1))
    found = _drift(p, START + timedelta(hours=2))
    assert {"note: characters", "note: terms"} <= set(found.drifted)
    kept = [k for k in p.store.objects if k.startswith(("profiles/", "answers/"))]
    import gzip

    assert kept
    assert not any(b"urgente" in gzip.decompress(p.store.get(key)) for key in kept)


def test_a_training_that_failed_leaves_its_rows_new():
    """A fault is no answer: after the cool-down it is tried again on the same file."""
    p, end = _drifting(cool_down_hours=6, max_per_day=9)
    _new_file(p)
    first = _whole(p, end + timedelta(hours=1))[2]
    again = _whole(p, end + timedelta(hours=8), "later")[2]
    assert (first.retrain, again.retrain) == (True, True)
    p.store.put(f"runs/loans/{again.run_id}/decision.json", b"{}")
    done = _whole(p, end + timedelta(hours=15), "done")[2]
    assert done.codes == ("no_new_rows",)


def test_a_forced_training_has_a_name_of_its_own():
    """An automatic one of the same hours must not swallow it."""
    p, end = _drifting()
    _new_file(p)
    at = end + timedelta(hours=1)
    names = {_whole(p, at)[2].execution_name, _whole(p, at, "hand", forced=True)[2].execution_name}
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
    _whole(p, end)
    p.store.put("inbox/loans/2/business.csv", b"id\n1\n")
    assert _whole(p, end + timedelta(hours=1))[2].codes == ("no_new_rows",)
    _new_file(p)
    decision = _whole(p, end + timedelta(hours=2))[2]
    assert decision.retrain
    assert {k.rpartition("/")[2] for k in decision.source_keys} == {"user.csv", "business.csv", "new.csv"}  # fmt: skip
