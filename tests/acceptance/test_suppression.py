"""Silences, windows, causes and inhibitions, from the control topic to what the alert role tells."""

from __future__ import annotations

import pytest

from agents.alert.app import run
from agents.alert.settings import AlertSettings
from agents.probe.settings import Target
from schemas import Control
from streams.causes import DependencySettings
from streams.control_client import ControlClient
from streams.dependencies import Dependencies
from streams.inhibition import InhibitRule
from streams.rules import Rule
from streams.suppression import Suppressions
from streams.topics import ALERTS, DEAD_LETTERS
from streams.units import now_ms
from tests.kit.findings import Feed
from tests.kit.gateway import gateway
from tests.kit.reader import reading
from tests.kit.records import writer
from tests.kit.role import running

TARGETS = (
    Target(name="host", labels={"team": "web"}, push={}),
    Target(name="shop", labels={"team": "web"}, depends_on=("host",), push={}),
    Target(name="db", labels={"team": "data"}, push={}),
)
DOWN = Rule(name="down", metric="up", operator="==", value=0, severity="critical")
SLOW = Rule(name="slow", metric="latency", value=100, severity="warning")
STUCK = Rule(name="stuck", metric="queue", value=100, severity="warning")


@pytest.fixture
def feed(kafka, producer):
    return Feed(kafka, producer)


@pytest.fixture
async def client(kafka):
    client = ControlClient(kafka)
    yield client
    await client.close()


def role(kafka, hold=1, **more):
    settings = DependencySettings(hold=hold, longest_hold=5 * hold, settle=hold)
    suppressions = Suppressions(dependencies=Dependencies(TARGETS), settings=settings, **more)
    rules = (DOWN, SLOW, STUCK)
    return running(
        run, kafka=kafka, settings=AlertSettings(tick=0.05), targets=TARGETS, rules=rules, suppressions=suppressions
    )


def latest(alerts, target, rule="down"):
    mine = [a for a in alerts if (a.target, a.rule) == (target, rule)]
    return mine[-1] if mine else None


async def test_a_silence_holds_and_its_end_tells(kafka, feed, client):
    """An alert in a silence is not told, and is told when the silence is taken back."""
    async with reading(kafka, ALERTS) as seen, role(kafka):
        await feed.finding(SLOW, target="db")
        await seen.wait(ALERTS, lambda got: latest(got, "db", "slow") is not None)
        now = now_ms()
        body = {"matchers": ["team=data"], "starts": now, "ends": now + 600_000}
        await client.change("silence", "s1", body, 0, "ada")
        # It comes by another topic than findings: what it hushes tells that the alert role has it.
        await seen.wait(ALERTS, lambda got: latest(got, "db", "slow").reason == "silenced")
        await feed.finding(DOWN, target="db")
        await feed.finding(DOWN, target="host")
        await seen.wait(ALERTS, lambda got: latest(got, "host") is not None)
        quiet = latest(await seen.wait(ALERTS, lambda got: latest(got, "db") is not None), "db")
        assert (quiet.state, quiet.notify) == ("suppressed", False)
        assert not any(a.notify for a in seen[ALERTS] if (a.target, a.rule) == ("db", "down"))
        assert latest(seen[ALERTS], "host").notify
        await client.change("silence", "s1", None, 1, "ada")
        await seen.wait(ALERTS, lambda got: any(a.notify for a in got if (a.target, a.rule) == ("db", "down")))
        await feed.finding(DOWN, False, "db")
        await seen.wait(ALERTS, lambda got: latest(got, "db").state == "resolved")


async def test_what_depends_on_a_cause_is_not_told(kafka, feed):
    """The service is noticed first, its host a moment later: only the host is told."""

    def over(target):
        return lambda got: latest(got, target).state in ("resolved", "cancelled")

    # Each step is seen before the next: two targets are of two partitions, which have no order of their own.
    async with reading(kafka, ALERTS) as seen, role(kafka, hold=60):
        await feed.finding(DOWN, target="shop")
        await seen.wait(ALERTS, lambda got: got and latest(got, "shop").reason == "waiting_for_cause")
        await feed.finding(DOWN, target="host")
        await seen.wait(ALERTS, lambda got: latest(got, "host") is not None and latest(got, "host").state == "firing")
        await seen.wait(ALERTS, lambda got: latest(got, "shop").reason == "cause_down")
        assert {a.target for a in seen[ALERTS] if a.notify} == {"host"}
        await feed.finding(DOWN, False, "shop")
        await seen.wait(ALERTS, over("shop"))
        await feed.finding(DOWN, False, "host")
        await seen.wait(ALERTS, over("host"))
        assert {a.target for a in seen[ALERTS] if a.notify} == {"host"}
        said = {(a.target, a.state): a.annotations.get("takes_down") for a in seen[ALERTS]}
        assert said["host", "firing"] == said["host", "resolved"] == "1: shop"
        assert {down for (target, _), down in said.items() if target == "shop"} == {None}


async def test_an_inhibited_alert_is_told_once_its_source_ends(kafka, feed):
    """While the source fires the target is kept quiet; afterwards it speaks for itself."""
    rule = InhibitRule(source_matchers=["alertname=down"], target_matchers=["alertname=~slow|stuck"], equal=["target"])
    async with reading(kafka, ALERTS) as seen, role(kafka, inhibit_rules=[rule]):
        await feed.finding(STUCK, target="db")
        await seen.wait(ALERTS, lambda got: latest(got, "db", "stuck") is not None)
        await feed.finding(DOWN, target="db")
        # What it keeps quiet tells that the news of it is there: it comes by another topic than findings.
        await seen.wait(ALERTS, lambda got: latest(got, "db", "stuck").reason == "inhibited")
        await feed.finding(SLOW, target="db")
        await seen.wait(ALERTS, lambda got: latest(got, "db", "slow") is not None)
        assert latest(seen[ALERTS], "db", "slow").reason == "inhibited"
        assert not any(a.notify for a in seen[ALERTS] if a.rule == "slow")
        await feed.finding(DOWN, False, "db")
        await seen.wait(ALERTS, lambda got: any(a.notify for a in got if a.rule == "slow"))


async def test_bad_control_records_are_dead_letters_once(kafka):
    """Two gateways run, and each useless record of a stranger is one dead letter with its reason, over restarts too."""
    async with reading(kafka, DEAD_LETTERS) as seen, writer(kafka) as stranger:
        async with gateway(kafka), gateway(kafka):
            await stranger.write(Control(kind="wish", id="x", version=1, actor="eve", at=now_ms()))
            await stranger.write(
                Control(kind="rule", id="x", version=1, actor="eve", at=now_ms(), body='{"metric": "up"}')
            )
            await stranger.raw("control", b"junk", b"rule/x")
            letters = await seen.wait(DEAD_LETTERS, 3)
            assert [(x.hop, x.reason) for x in letters] == [
                ("gateway", "unknown_kind"), ("gateway", "bad_body"), ("gateway", "not_avro"),
            ]  # fmt: skip
            assert "value" in letters[1].error
        async with gateway(kafka):
            await stranger.raw("control", b"junk2", b"rule/x")
            assert [x.value for x in (await seen.wait(DEAD_LETTERS, 4))[3:]] == [b"junk2"]


async def test_inhibitions_and_what_means_down_are_changed_at_run_time(kafka, feed, client):
    """A new inhibition hushes what fires already, taken back it is told; a warning that means down is a cause."""
    rule = {"source_matchers": ["alertname=down"], "target_matchers": ["alertname=slow"], "equal": ["target"]}
    async with reading(kafka, ALERTS) as seen, role(kafka):
        await feed.finding(DOWN, target="db")
        await feed.finding(SLOW, target="db")
        await feed.finding(SLOW, target="host")
        await feed.finding(DOWN, target="shop")
        await seen.wait(ALERTS, lambda got: latest(got, "shop") is not None and latest(got, "shop").notify)
        await seen.wait(ALERTS, lambda got: latest(got, "db", "slow") is not None)
        await client.change("inhibit_rule", "db-first", rule, 0, "ada")
        await seen.wait(ALERTS, lambda got: latest(got, "db", "slow").reason == "inhibited")
        await client.change("dependencies", "all", {"cause": ["alertname=slow"], "hold": 1}, 0, "ada")
        await seen.wait(ALERTS, lambda got: latest(got, "shop").reason == "cause_down")
        await client.change("inhibit_rule", "db-first", None, 1, "ada")
        await client.change("dependencies", "all", None, 1, "ada")
        await seen.wait(ALERTS, lambda got: latest(got, "db", "slow").state == "firing")
        await seen.wait(ALERTS, lambda got: latest(got, "shop").state == "firing")
