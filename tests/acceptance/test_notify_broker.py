"""The notify role while its broker dies and comes back."""

from __future__ import annotations

import asyncio

from streams.routing import Route
from tests.kit import receivers as kit
from tests.kit.notify import alert, dead_letters, ledger, ledger_until, outcomes, running, send, slack_of

ROUTE = Route(receiver="ops")


async def test_the_broker_is_killed_between_a_message_and_its_outcome(own_broker):
    """The role knows what it has sent until it can write it down: nothing lost, nothing twice, and it goes on."""
    async with kit.SlackServer() as slack, running(own_broker.kafka, ROUTE, slack_of("ops", slack)):
        slack.on_request = lambda _: own_broker.kill() if len(slack.requests) == 1 else None
        fired = alert()
        await send(own_broker.kafka, fired)
        await slack.wait_for(1)
        await asyncio.sleep(1)  # an outage, not a blip
        await own_broker.start()
        await send(own_broker.kafka, alert("resolved", id=fired.id), alert(target="other"))
        await slack.wait_for(3)
        steps = await ledger_until(own_broker.kafka, lambda s: len(outcomes(s, "delivered")) == 3)
        assert len(slack.requests) == 3
        assert len(outcomes(steps)) == 3


async def test_the_broker_is_killed_again_and_again_under_alerts(own_broker):
    """Three SIGKILLs of the broker while alerts are being sent: each arrives, second copies are counted."""
    async with (
        kit.SlackServer(kit.Answer(delay_s=0.05)) as slack,
        running(own_broker.kafka, ROUTE, slack_of("ops", slack)),
    ):
        for n in range(3):
            await send(own_broker.kafka, *(alert(target=f"t{n}-{i}") for i in range(20)))
            await slack.wait_for(20 * n + 5)
            own_broker.kill()
            await asyncio.sleep(0.5)
            await own_broker.start()
        steps = await ledger_until(own_broker.kafka, lambda s: len(outcomes(s, "delivered")) == 60)
        keys = [r.headers["Idempotency-Key"] for r in slack.requests]
        repeats = [s.idempotency_key for s in steps if s.outcome == "intent" and s.repeat]
        assert len(set(keys)) == 60
        assert len(keys) - 60 <= len(repeats)
        assert all(keys.count(k) - 1 <= repeats.count(k) for k in set(keys))
        assert await dead_letters(own_broker.kafka) == []


async def test_a_stop_while_the_broker_is_gone(own_broker):
    """The role stops in the time that it is given though Kafka does not answer; the next start does what was left."""
    async with kit.SlackServer() as slack:
        async with running(own_broker.kafka, ROUTE, slack_of("ops", slack)):
            slack.on_request = lambda _: own_broker.kill() if len(slack.requests) == 1 else None
            await send(own_broker.kafka, alert())
            await slack.wait_for(1)
        await own_broker.start()
        async with running(own_broker.kafka, ROUTE, slack_of("ops", slack)):
            steps = await ledger_until(own_broker.kafka, lambda s: bool(outcomes(s)))
        assert len(slack.requests) == 2
        assert [s.repeat for s in outcomes(steps)] == [True]
        assert len(await ledger(own_broker.kafka)) == 3
