"""The notify role stopped, killed, frozen and shared, on real Kafka, with real receivers."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from agents.notify.app import run
from agents.notify.settings import NotifySettings, Receiver
from streams.routing import Route
from tests.kit import receivers as kit
from tests.kit.notify import (
    DEFAULTS,
    alert,
    ledger,
    ledger_until,
    outcomes,
    process,
    running,
    send,
    slack_of,
)
from tests.kit.role import PATIENCE_S


async def test_stopping_finishes_what_is_being_sent(kafka, monkeypatch):
    """A stop waits for an answer that is under way, commits it, and a new start sends nothing twice."""
    monkeypatch.setattr("agents.notify.worker.CLOSE_LIMIT_S", PATIENCE_S)  # the answer is always in time
    async with kit.SlackServer(kit.Answer(delay_s=0.8)) as slack:
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack)):
            await send(kafka, alert())
            await slack.wait_for_requests(1)
        assert [s.outcome for s in await ledger(kafka)] == ["intent", "delivered"]
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack)):
            await send(kafka, alert())
            await ledger_until(kafka, lambda s: len(outcomes(s)) == 2)
        assert len(slack.requests) == 2


async def test_killed_before_the_message_was_taken(kafka):
    """Killed with the intent written and nothing sent: the next start sends it, once, marked as a possible repeat."""
    taken = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await asyncio.Event().wait()

    listener = await asyncio.start_server(deaf, "127.0.0.1", 0)
    slack = kit.SlackServer(port=listener.sockets[0].getsockname()[1])
    async with process(kafka, Route(receiver="ops"), slack_of("ops", slack)) as role:
        await send(kafka, alert())
        await asyncio.wait_for(taken.wait(), PATIENCE_S)
        role.kill()
        await role.gone()
        listener.close()
        async with slack:
            await role.start()
            steps = await ledger_until(kafka, lambda s: bool(outcomes(s)))
            assert [(s.outcome, s.repeat) for s in steps] == [("intent", False), ("intent", True), ("delivered", True)]
            assert len(slack.messages) == 1


async def test_killed_between_the_message_and_its_outcome(kafka):
    """Killed after Slack took the message: it comes once more, with the same key, and the ledger counts the repeat."""
    async with kit.SlackServer() as slack, process(kafka, Route(receiver="ops"), slack_of("ops", slack)) as role:
        slack.on_request = lambda _: role.kill() if len(slack.requests) == 1 else None
        fired = alert()
        await send(kafka, fired)
        await role.gone()
        await role.start()
        await send(kafka, alert(target="next"))
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 2)
        mine = [s for s in steps if s.alert_id == fired.id]
        assert [(s.outcome, s.repeat) for s in mine] == [("intent", False), ("intent", True), ("delivered", True)]
        assert len({r.headers["Idempotency-Key"] for r in slack.requests}) == 2
        assert len(slack.requests) == 3
        assert not [s for s in steps if s.repeat and s.alert_id != fired.id]


async def test_killed_after_the_outcome(kafka):
    """Killed once the outcome is in the ledger: nothing is sent again."""
    async with kit.SlackServer() as slack, process(kafka, Route(receiver="ops"), slack_of("ops", slack)) as role:
        await send(kafka, alert())
        await ledger_until(kafka, lambda s: bool(outcomes(s)))
        role.kill()
        await role.gone()
        await role.start()
        await send(kafka, alert())
        steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 2)
        assert len(slack.requests) == 2
        assert not any(s.repeat for s in steps)


async def test_killed_while_an_earlier_alert_is_being_tried(kafka):
    """What was delivered past an unfinished alert is known from the ledger after a kill, and is not sent again."""
    async with kit.SlackServer() as down, kit.SlackServer() as up:
        await down.stop()
        route = Route.model_validate({"receiver": "up", "routes": [{"matchers": ["target=first"], "receiver": "down"}]})
        first = alert(target="first")
        others = [alert(target=f"t{n}") for n in range(6)]
        receivers = (slack_of("down", down), slack_of("up", up))
        async with process(kafka, route, *receivers) as role:
            await send(kafka, first, *others)
            await up.wait_for(6)
            await ledger_until(kafka, lambda s: len(outcomes(s)) == 6)
            role.kill()
            await role.gone()
            await down.start()
            await role.start()
            await down.wait_for(1)
            steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 7)
            assert len(up.requests) == 6
            # Attempts that ended in a refused connection arrived nowhere; one cut short by the kill may have.
            assert len(down.messages) == 1
            assert not [s for s in steps if s.repeat and s.alert_id != first.id]


async def test_two_workers_share_the_partitions(kafka):
    """Two processes in one group split the alerts; one leaves and the other takes over; each alert is sent once."""
    async with kit.SlackServer() as slack:
        receiver = slack_of("ops", slack)
        async with running(kafka, Route(receiver="ops"), receiver):
            async with running(kafka, Route(receiver="ops"), receiver):
                await send(kafka, *(alert(target=f"a{n}") for n in range(10)))
                # Sent and written down: what is not may be sent again by whoever takes over.
                await ledger_until(kafka, lambda s: len(outcomes(s)) == 10)
            await send(kafka, *(alert(target=f"b{n}") for n in range(10)))
            steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 20)
        assert len(slack.requests) == 20
        assert not any(s.repeat for s in steps)


async def test_nothing_is_lost_over_several_kills(kafka):
    """Sixty alerts, three SIGKILLs: every alert arrives, and every second copy is counted as a repeat."""
    async with kit.SlackServer(kit.Answer(delay_s=0.02)) as slack:
        settings = NotifySettings(timeout=60.0, retry_initial=0.05, retry_max=0.2, concurrency=4)
        alerts = [alert(target=f"t{n}") for n in range(60)]
        async with process(kafka, Route(receiver="ops"), slack_of("ops", slack), settings=settings) as role:
            for kill in range(3):
                await send(kafka, *alerts[kill * 20 : kill * 20 + 20])
                await slack.wait_for(len(slack.messages) + 7)
                role.kill()
                await role.gone()
                await role.start()
            steps = await ledger_until(kafka, lambda s: len(outcomes(s, "delivered")) == 60)
        copies = Counter(r.headers["Idempotency-Key"] for r in slack.requests)
        counted = Counter(s.idempotency_key for s in steps if s.outcome == "intent" and s.repeat)
        assert len(copies) == 60
        assert {key: n - 1 for key, n in copies.items() if n - 1 > counted[key]} == {}
        assert counted.total() < 60


async def test_a_process_that_stood_still_does_not_tell_twice(kafka):
    """One of two workers is frozen past its session and thawed with alerts waiting: each alert arrives once."""
    async with kit.SlackServer() as slack:
        receiver = slack_of("ops", slack)
        async with process(kafka, Route(receiver="ops"), receiver) as role:
            role.signal(signal.SIGSTOP)
            # Appended before anybody else has the partitions: the frozen one gets them from its open connection.
            await send(kafka, *(alert(target=f"t{n}") for n in range(6)))
            async with running(kafka, Route(receiver="ops"), receiver):
                await slack.wait_for(6)
                await ledger_until(kafka, lambda s: len(outcomes(s)) == 6)
                role.signal(signal.SIGCONT)
                await send(kafka, *(alert(target=f"u{n}") for n in range(6)))
                steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 12)
                await asyncio.sleep(2)
        copies = Counter(r.headers["Idempotency-Key"] for r in slack.requests)
        counted = Counter(s.idempotency_key for s in steps if s.outcome == "intent" and s.repeat)
        assert len(copies) == 12
        assert {key: n - 1 for key, n in copies.items() if n - 1 > counted[key]} == {}
        first_six = [s.idempotency_key for s in steps if s.target.startswith("t")]
        assert all(copies[key] == 1 for key in first_six)


async def test_a_stop_before_kafka_is_there_takes_seconds(kafka):
    """With nothing listening at the broker's address the role stops at once when told to."""
    nowhere = kafka.model_copy(update={"bootstrap": "127.0.0.1:1"})
    stop = asyncio.Event()
    receiver = Receiver.model_validate({"name": "ops", "slack_configs": [{"api_url": "http://127.0.0.1:1/"}]})
    role = asyncio.ensure_future(
        run(kafka=nowhere, settings=DEFAULTS, route=Route(receiver="ops"), receivers=(receiver,), stop=stop,
            ready=lambda: pytest.fail("ready without Kafka"))
    )  # fmt: skip
    await asyncio.sleep(0.5)
    stop.set()
    await asyncio.wait_for(role, PATIENCE_S)
