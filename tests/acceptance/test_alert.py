"""The alert role on real Kafka."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from agents.alert import flush as alert_flush
from agents.alert import worker as alert_worker
from agents.alert.app import run
from agents.alert.settings import AlertSettings
from agents.probe.settings import Target
from streams.app import WorkerFailedError, make_app
from streams.rules import Rule
from streams.topics import ALERT_STATE, ALERTS, DEAD_LETTERS, FINDINGS, full_name
from tests.kit.findings import Feed
from tests.kit.reader import reading
from tests.kit.role import PATIENCE_S, running

TARGETS = (Target(name="shop", labels={"team": "web"}, http={"url": "http://127.0.0.1:1"}),)
DOWN = Rule(
    name="down",
    metric="up",
    operator="==",
    value=0,
    severity="critical",
    annotations={"summary": "{{ target }} is down"},
)
SLOW = Rule(name="slow", metric="latency", value=100, **{"for": "600ms"})


@pytest.fixture
def feed(kafka, producer):
    return Feed(kafka, producer)


def role(kafka, rules=(DOWN, SLOW)):
    return running(run, kafka=kafka, settings=AlertSettings(tick=0.05), targets=TARGETS, rules=rules)


def states(alerts) -> list[tuple[str, int, str]]:
    return [(a.rule, a.number, a.state) for a in alerts]


async def test_firing_and_resolved_once_each(kafka, feed):
    """Findings that repeat themselves tell nothing new: one firing, one resolved, with labels and summary."""
    async with reading(kafka, ALERTS) as seen, role(kafka):
        for holds in (True, True, False, False):
            await feed.finding(DOWN, holds)
        alerts = await seen.wait(ALERTS, 2)
        assert states(alerts) == [("down", 1, "firing"), ("down", 2, "resolved")]
        assert alerts[0].id == alerts[1].id
        assert alerts[0].labels["team"] == "web"
        assert alerts[0].annotations["summary"] == "shop is down"


async def test_its_own_state_is_taken_for_no_stream_that_hangs(kafka, feed, monkeypatch):
    """Faust looks for streams that process nothing among what is acknowledged: findings, and not the stored lives."""
    apps = []

    def kept(*arguments):
        apps.append(make_app(*arguments))
        return apps[-1]

    monkeypatch.setattr("agents.alert.app.make_app", kept)
    async with reading(kafka, ALERTS) as seen, role(kafka):
        await feed.finding(DOWN)
        await seen.wait(ALERTS, 1)
        assert apps[0].topics.acks_enabled_for(full_name(kafka, FINDINGS))
        assert not apps[0].topics.acks_enabled_for(full_name(kafka, ALERT_STATE))


async def test_duration_is_waited_for_by_the_clock(kafka, feed):
    """A rule with `for` fires on the tick, with no further finding; one that ceases in time is cancelled."""
    async with reading(kafka, ALERTS) as seen, role(kafka):
        await feed.finding(SLOW, True)
        assert states(await seen.wait(ALERTS, 2)) == [("slow", 1, "pending"), ("slow", 2, "firing")]
        assert seen[ALERTS][1].at - seen[ALERTS][0].at >= 600


async def test_pending_alert_survives_a_restart(kafka, feed):
    """What was pending when the worker stopped fires after it is back."""
    async with reading(kafka, ALERTS) as seen:
        async with role(kafka):
            await feed.finding(SLOW, True)
            await seen.wait(ALERTS, 1)
        async with role(kafka):
            assert states(await seen.wait(ALERTS, 2)) == [("slow", 1, "pending"), ("slow", 2, "firing")]


async def test_acknowledgement_is_a_transition_with_its_author(kafka, feed):
    """An acknowledgement on `control` becomes a transition, once, also over a restart that reads it again."""
    async with reading(kafka, ALERTS) as seen:
        async with role(kafka):
            await feed.finding(DOWN, True)
            (fired,) = await seen.wait(ALERTS, 1)
            await feed.control("ack", fired.id, comment="on it")
            await feed.control("ack", fired.id, comment="on it")
            acknowledged = (await seen.wait(ALERTS, 2))[1]
            assert (acknowledged.state, acknowledged.actor, acknowledged.comment) == ("acknowledged", "ada", "on it")
        async with role(kafka):
            await feed.finding(DOWN, False)
            assert states(await seen.wait(ALERTS, 3)) == [
                ("down", 1, "firing"),
                ("down", 2, "acknowledged"),
                ("down", 3, "resolved"),
            ]


async def test_rule_taken_out_resolves_its_alert(kafka, feed):
    """When a restart finds the rule of a firing alert gone, the alert is resolved and says why."""
    async with reading(kafka, ALERTS) as seen:
        async with role(kafka):
            await feed.finding(DOWN, True)
            await seen.wait(ALERTS, 1)
        async with role(kafka, rules=(SLOW,)):
            resolved = (await seen.wait(ALERTS, 2))[1]
            assert (resolved.state, resolved.reason, resolved.notify) == ("resolved", "rule_removed", True)


async def test_finding_that_is_none_is_a_dead_letter(kafka, feed, monkeypatch):
    """Bytes that are no finding, and findings of unknown rules, are set aside; the rest goes on."""
    monkeypatch.setattr(alert_worker, "_KNOWN_WITHIN_S", 0.5)
    async with reading(kafka, ALERTS, DEAD_LETTERS) as seen, role(kafka):
        await feed.raw(b"junk", b"shop/down")
        await feed.finding(Rule(name="unheard", metric="up", value=0), True)
        await feed.finding(DOWN, True)
        assert sorted(x.reason for x in await seen.wait(DEAD_LETTERS, 2)) == ["not_avro", "unknown_rule"]
        await seen.wait(ALERTS, 1)


@pytest.mark.parametrize("step", ["before_state", "after_state", "after_alert"])
async def test_death_at_each_step_tells_each_transition_once(kafka, feed, step, monkeypatch):
    """Dying before the life is stored, after it, or after the alert is sent but not known to be: told once, never lost."""
    broken = {"left": 1}

    class Dying(AIOKafkaProducer):
        """Answers as the broker does, and then dies at one step."""

        async def send(self, topic, *args, **more):
            here = {"alert-state": "before_state", "alerts": "after_state"}.get(topic.removeprefix(kafka.prefix))
            if here == step and broken["left"]:
                broken["left"] -= 1
                raise ConnectionResetError(step)
            answer = await super().send(topic, *args, **more)
            if step == "after_alert" and here == "after_state" and broken["left"]:
                broken["left"] -= 1
                await answer
                raise ConnectionResetError(step)
            return answer

    monkeypatch.setattr(alert_flush, "AIOKafkaProducer", Dying)
    async with reading(kafka, ALERTS) as seen:
        stop, ready = asyncio.Event(), asyncio.Event()
        dying = asyncio.create_task(
            run(
                kafka=kafka,
                settings=AlertSettings(tick=0.05),
                targets=TARGETS,
                rules=(DOWN, SLOW),
                stop=stop,
                ready=ready.set,
            )
        )
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        await feed.finding(DOWN, True)
        with pytest.raises(WorkerFailedError):
            await asyncio.wait_for(dying, PATIENCE_S)
        assert not broken["left"]
        async with role(kafka):
            await feed.finding(DOWN, False)
            alerts = await seen.wait(ALERTS, lambda got: any(a.state == "resolved" for a in got))
            assert states(alerts) == [("down", 1, "firing"), ("down", 2, "resolved")]
