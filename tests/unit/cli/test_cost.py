"""What a deployment costs: prices by tier, templates, metered work, and the command's sums."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cli.costing import stacks
from cli.costing.bill import Traffic, always_on, bill, read_traffic
from cli.costing.prices import Price, PriceTier, read_prices
from cli.costing.stacks import Deployed, Schedule, runs_a_month
from cli.costing.work import MeteredWork, StepWork, Work, read_work
from cli.main import app
from noria.errors import InvalidInputError

PRICES = read_prices("us-east-1")
IDLE = Traffic()
DEPLOYED = Deployed(
    is_arm=True,
    memory_mb={"predict": 512.0, "check_drift": 1769.0, "start_scheduled_check": 1024.0},
    schedules=(Schedule(730.0, "start_scheduled_check"),),
    n_alarms=12,
    n_dashboards=1,
    n_secrets=0,
    n_polled_queues=1,
    n_projects=2,
    is_traced=False,
    n_limited=0,
)
METERED = MeteredWork("2026-01-01", "abc", "here", {
    "look": Work(0.0, {"start_scheduled_check": StepWork(1.0, 0.6, {"s3:ListBucket": 4.0})}),
    "check": Work(12.0, {"check_drift": StepWork(1.0, 3.0, {"s3:GetObject": 10.0})}),
    "check at rest": Work(12.0, {"check_drift": StepWork(1.0, 2.0, {"s3:GetObject": 5.0})}),
    "prediction": Work(0.0, {"predict": StepWork(1.0, 0.003, {"firehose:PutRecord": 1.0})}),
    "training of a": Work(40.0, {"check_drift": StepWork(2.0, 50.0, {})}),
    "training of b": Work(60.0, {"check_drift": StepWork(2.0, 70.0, {})}),
})  # fmt: skip


def _lines(deployed=DEPLOYED, traffic=IDLE, metered=METERED):
    found = bill(deployed, traffic, metered, PRICES)
    return {f"{line.service} {line.usage_type}": line for line in found.lines}, found


@pytest.mark.parametrize(
    ("quantity", "usd", "with_free"),
    [(0, 0, 0), (3, 6, 0), (10, 20, 14), (12, 22, 18), (25, 32.5, 31)],
)
def test_a_quantity_is_priced_tier_by_tier_above_what_is_free(quantity, usd, with_free):
    """What is free comes off before the tiers."""
    price = Price(
        "S", "u", "r", (PriceTier(10.0, 2.0), PriceTier(20.0, 1.0), PriceTier(None, 0.5)), 3.0, ""
    )
    assert price.usd(quantity, is_free_used=True) == pytest.approx(usd)
    assert price.usd(quantity, is_free_used=False) == pytest.approx(with_free)


def test_a_region_without_prices_is_told_with_those_that_have_some():
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="mars-1; there are: us-east-1"):
        read_prices("mars-1")


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("rate(1 hour)", 730), ("rate(30 minutes)", 1460), ("rate(1 day)", 730 / 24),
        ("cron(5 * * * ? *)", 730), ("cron(5 0,6,12,18 * * ? *)", 4 * 730 / 24),
        ("cron(0/15 8-17 ? * MON-FRI *)", 4 * 10 * 5 / 7 * 730 / 24), ("cron(0 3 1 * ? *)", 1),
    ],
)  # fmt: skip
def test_a_schedule_comes_so_often_in_a_month(expression, runs):
    """EventBridge's two languages."""
    assert runs_a_month(expression) == pytest.approx(runs)


def test_what_nobody_asks_anything_of_costs_its_looks_and_a_check_or_two_a_day():
    """And what is there: alarms, the dashboard, the queue that is polled."""
    lines, found = _lines()
    assert lines["EventBridge Scheduler Invocations"].quantity == 730
    assert lines["S3 Requests-Tier1"].quantity == 4 * 730
    at_rest = 2 * 2 * 730 / 24  # two projects, both schedules
    assert lines["Step Functions StateTransition"].quantity == pytest.approx(12 * at_rest)
    assert lines["Lambda Request"].quantity == pytest.approx(730 + at_rest)
    assert lines["CloudWatch AlarmMonitorUsage"].usd_with_free == pytest.approx(0.2)
    assert "API Gateway ApiGatewayRequest" not in lines
    assert found.usd == pytest.approx(sum(line.usd for line in found.lines))
    assert found.usd_with_free < found.usd


def test_a_checkout_from_before_the_looks_pays_a_check_each_time():
    """So the difference between two commits is seen."""
    before = replace(DEPLOYED, schedules=(Schedule(730.0, "machine"),))
    assert _lines(before)[0]["Step Functions StateTransition"].quantity == 12 * 730


def test_a_project_that_is_asked_is_checked_each_time():
    """The others rest."""
    lines, _ = _lines(traffic=Traffic(predictions=1000.0))
    busy, at_rest = 730 / 2, 2 * 730 / 24
    assert lines["Step Functions StateTransition"].quantity == pytest.approx(12 * (busy + at_rest))


def test_small_functions_take_longer_by_their_share_of_a_processor():
    """3 ms here are 3 / 0.6 times 1769 / 512 there, of half a gigabyte; a record waits 15 ms."""
    nothing = replace(DEPLOYED, schedules=())
    lines, _ = _lines(nothing, Traffic(predictions=1e6))
    seconds = lines["Lambda Lambda-GB-Second-ARM"].quantity / 0.5 / 1e6
    assert seconds == pytest.approx(0.003 / 0.6 * 1769 / 512 + 0.015, rel=0.01)


@pytest.mark.parametrize(
    ("change", "name", "quantity"),
    [
        ({"is_traced": True}, "X-Ray XRay-TracesStored", 1e6),
        ({"n_limited": 1}, "DynamoDB WriteRequestUnits", 1e6),
        ({}, "API Gateway ApiGatewayRequest", 1e6),
        ({}, "Firehose BilledBytes", 1e6 * 5 * 1024 / 1e9),
        ({"is_arm": False}, "Lambda Lambda-GB-Second", None),
    ],
)
def test_each_option_has_its_line(change, name, quantity):
    """With a million predictions."""
    lines, _ = _lines(replace(DEPLOYED, **change), Traffic(predictions=1e6))
    assert quantity is None or lines[name].quantity == pytest.approx(quantity)
    assert "predictions" in lines[name].because or "counting of requests" in lines[name].because


def test_trainings_are_the_mean_of_those_that_were_metered():
    """Forty and sixty transitions."""
    nothing = replace(DEPLOYED, schedules=())
    lines, _ = _lines(nothing, Traffic(trainings=4.0))
    assert lines["Step Functions StateTransition"].quantity == 4 * 50


@pytest.mark.parametrize("text", ["[", "[]", '{"prediction": 1}', '{"predictions": "many"}'])
def test_a_file_that_is_no_traffic_is_refused_with_its_name(tmp_path, text):
    """And with the keys there are."""
    file = tmp_path / "t.json"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match=r"t\.json is no traffic"):
        read_traffic(file)


def test_the_shipped_files_fit_each_other():
    """Every usage type has its price; every kind of work was metered."""
    work = read_work().work
    assert {"look", "check", "check at rest", "prediction", "label", "batch row"} <= set(work)
    everything = Traffic(1e6, 1e3, 1e6, 4.0, 1.0, 2.0, 5.0)
    assert bill(
        replace(DEPLOYED, is_traced=True, n_limited=1, n_secrets=1), everything, read_work(), PRICES
    )
    assert all(usd > 20 for _, usd in always_on(PRICES).values())


def test_the_command_prints_both_sums_and_the_difference_to_a_commit(monkeypatch):
    """As text and as JSON; a setting that is none is refused."""
    before = replace(DEPLOYED, schedules=(Schedule(730.0, "machine"),))
    monkeypatch.setattr(stacks, "synthesized", lambda settings: DEPLOYED)
    monkeypatch.setattr(stacks, "of_ref", lambda ref, settings: before)
    said = CliRunner().invoke(app, ["cost", "--against", "main"]).output
    assert "idle: " in said
    assert "at main" in said
    assert "always on, tickets" in said
    found = json.loads(CliRunner().invoke(app, ["cost", "--against", "main", "--json"]).output)
    assert found["idle"]["usd"] < found["before"]["idle"]["usd"]
    refused = CliRunner().invoke(app, ["cost", "--setting", "stage=x"])
    assert refused.exit_code == 1


def test_an_app_that_does_not_synthesize_is_told_in_its_own_words(monkeypatch):
    """Not in a stack trace of ours."""
    failed = SimpleNamespace(returncode=1, stderr="ValueError: noria:stage: no", stdout="")
    monkeypatch.setattr(stacks.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ValueError, match="noria:stage: no"):
        stacks.synthesized()
