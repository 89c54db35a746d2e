"""Rules and targets that change while detection runs."""

from __future__ import annotations

import asyncio

import pytest

from agents.alert.app import run as alert
from agents.alert.settings import AlertSettings
from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.probe.settings import Target
from streams.control_checks import Checks
from streams.control_client import ControlClient
from streams.partition import partition_of
from streams.rules import Rule
from streams.topics import ALERTS, FINDINGS
from tests.kit.reader import reading
from tests.kit.role import PATIENCE_S, running, until
from tests.kit.samples import Feed

pytestmark = pytest.mark.usefixtures("compiled")
TARGETS = (Target(name="api", push={}), Target(name="db", push={}))
SLOW = Rule(name="slow", metric="latency", operator=">", value=100)


@pytest.fixture
def feed(kafka, producer):
    return Feed(kafka, producer)


@pytest.fixture
async def client(kafka):
    client = ControlClient(kafka, "test", check=Checks((SLOW,), TARGETS))
    yield client
    await client.close()


def detect(kafka, *rules, targets=TARGETS):
    return running(run, kafka=kafka, settings=DetectSettings(), targets=targets, rules=rules or (SLOW,))


async def test_rule_from_the_control_topic_is_judged_with_what_was_counted_before(kafka, feed, client):
    """A rule set at run time judges the next sample, over windows that were filled before it was there."""
    async with reading(kafka, FINDINGS) as seen, detect(kafka):
        await feed.samples("api", *[False] * 9)
        await feed.samples("db", True, latency=500.0)
        found = await seen.wait(FINDINGS, 1)
        assert [(f.target, f.rule, f.holds) for f in found] == [("db", "slow", True)]
        body = {"name": "failing", "metric": "errors", "window": "5m", "operator": ">=", "value": 10}
        await client.refresh()
        await client.change("rule", "failing", body, 0, "ann")
        await produce_until(feed, seen)
        failing = next(f for f in seen[FINDINGS] if f.rule == "failing")
        assert (failing.target, failing.holds, failing.rule_version) == ("api", True, 1)
        assert failing.value >= 10


async def produce_until(feed, seen):
    """Failures of `api`, one after the other, until the new rule holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(f.rule == "failing" for f in seen[FINDINGS]):
            await feed.samples("api", False)
            await asyncio.sleep(0.2)


async def test_a_change_outlives_a_restart(kafka, feed, client):
    """A rule that was set at run time is judged by a detection that starts after it."""
    await client.change("rule", "slow", {"name": "slow", "metric": "latency", "value": 1000}, None, "ann")
    await client.change(
        "rule", "failing", {"name": "failing", "metric": "errors", "window": "5m", "value": 0}, 0, "ann"
    )
    async with reading(kafka, FINDINGS) as seen, detect(kafka):
        await feed.samples("db", True, latency=500.0)
        await feed.samples("db", False, latency=500.0)
        found = await seen.wait(FINDINGS, 1)
        # What holds is told again soon after a change, and this detection came to know of these when it started.
        assert {(f.target, f.rule, f.rule_version) for f in found} == {("db", "failing", 1)}


async def test_rule_that_is_withdrawn_is_told_as_ceased(kafka, feed, client):
    """What held by a rule that is taken away is told as ceased, so that its alert does not fire for ever."""
    async with reading(kafka, FINDINGS) as seen, detect(kafka):
        await feed.samples("db", True, latency=500.0)
        await seen.wait(FINDINGS, 1)
        await client.refresh()
        await client.change("rule", "slow", None, 0, "ann")
        found = await seen.wait(FINDINGS, 2)
        assert [(f.target, f.rule, f.holds) for f in found] == [("db", "slow", True), ("db", "slow", False)]
        assert partition_of("db", kafka.partitions) == found[1].source_partition


async def test_a_rule_edited_to_look_at_what_nobody_sends_has_ceased(kafka, feed, client):
    """What held by the old condition is told as ceased: no sample would ever say so by the new one."""
    async with reading(kafka, FINDINGS) as seen, detect(kafka):
        await feed.samples("db", True, latency=500.0)
        await seen.wait(FINDINGS, 1)
        await client.refresh()
        await client.change("rule", "slow", {"name": "slow", "metric": "queue.depth", "value": 100}, 0, "ann")
        found = await seen.wait(FINDINGS, 2)
        assert [(f.target, f.rule, f.holds) for f in found] == [("db", "slow", True), ("db", "slow", False)]


async def test_a_rule_edited_in_the_file_while_nothing_ran_ends_as_if_it_had_run(kafka, feed):
    """Started with a rule that looks at what nobody sends, detection tells once that it has ceased, and the alert
    resolves; a rule that still looks at samples goes on, and both are so after another start."""
    other = Rule(name="other", metric="latency", operator=">", value=100)
    edited = Rule(name="slow", metric="queue.depth", operator=">", value=100)
    async with reading(kafka, FINDINGS, ALERTS) as seen:
        async with detect(kafka, SLOW, other), alerting(kafka, SLOW, other):
            await feed.samples("db", True, latency=500.0)
            await until(lambda: said(seen, "slow") == said(seen, "other") == [True])
            await until(lambda: became(seen, "slow") == [("firing", "held_at_once")])
        async with detect(kafka, edited, other.model_copy(update={"value": 200.0})), alerting(kafka, edited, other):
            await until(lambda: said(seen, "slow") == [True, False])
            ended = next(f for f in seen[FINDINGS] if not f.holds)
            assert (ended.metric, ended.conditions[0]["holds"]) == ("queue.depth", None)
            await until(lambda: became(seen, "slow") == [("firing", "held_at_once"), ("resolved", "rule_ceased")])
            # What follows is stored, and with it what ceased.
            await feed.samples("api", True, latency=500.0)
            await until(lambda: any(f.target == "api" for f in seen[FINDINGS]))
        async with detect(kafka, edited, other):
            await feed.samples("db", True, latency=50.0)
            await until(lambda: said(seen, "other")[-1] is False)
    assert said(seen, "slow") == [True, False]
    assert became(seen, "other") == [("firing", "held_at_once")]


async def test_a_target_whose_labels_change_goes_from_rule_to_rule(kafka, feed, client):
    """The alert by its old labels ends, with no sample; the rule for the new ones judges it by what was counted before.
    After a restart with the file that has the old ones, it is so still."""
    web = Rule(name="web", match=("team=web",), metric="latency", operator=">", value=100)
    data = Rule(name="data", match=("team=data",), metric="errors", window=300, operator=">=", value=3)
    targets = tuple(Target(name=n, push={}, labels={"team": "web"}) for n in ("api", "db"))
    async with reading(kafka, FINDINGS, ALERTS) as seen:
        async with detect(kafka, web, data, targets=targets), alerting(kafka, web, data, targets=targets):
            await feed.samples("db", False, False, latency=500.0)
            await until(lambda: became(seen, "web") == [("firing", "held_at_once")])
            body = {"name": "db", "kind": "push", "labels": {"team": "data"}}
            await client.change("target", "db", body, 0, "ann")
            await until(lambda: said(seen, "web") == [True, False])
            await until(lambda: [state for state, _ in became(seen, "web")][-1] == "resolved")
            assert said(seen, "data") == []
            await feed.samples("db", False, latency=500.0)
            await until(lambda: became(seen, "data") == [("firing", "held_at_once")])
            found = next(f for f in seen[FINDINGS] if f.rule == "data")
            assert found.value == 3.0
            assert next(a for a in seen[ALERTS] if a.rule == "data").labels["team"] == "data"
        async with detect(kafka, web, data, targets=targets):
            await feed.samples("db", False, latency=500.0)
            await feed.samples("api", False, latency=500.0)
            await until(lambda: any((f.target, f.rule) == ("api", "web") for f in seen[FINDINGS]))
    assert said(seen, "web") == [True, False]
    assert set(said(seen, "data")) == {True}


def alerting(kafka, *rules, targets=TARGETS):
    return running(alert, kafka=kafka, settings=AlertSettings(tick=0.05), targets=targets, rules=rules)


def said(seen, rule):
    return [f.holds for f in seen[FINDINGS] if (f.target, f.rule) == ("db", rule)]


def became(seen, rule):
    return [(a.state, a.reason) for a in seen[ALERTS] if (a.target, a.rule) == ("db", rule)]
