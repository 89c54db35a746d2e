"""The notify role on real Kafka, with real receivers."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter

import pytest

from agents.notify.app import run
from agents.notify.settings import NotifySettings, Receiver
from streams.routing import Route
from tests.kit import receivers as kit
from tests.kit.notify import (
    DEFAULTS,
    alert,
    committed_offsets,
    dead_letters,
    ledger,
    ledger_until,
    outcomes,
    process,
    running,
    send,
)


def slack_of(name: str, server: kit.SlackServer, **more: object) -> Receiver:
    return Receiver.model_validate({"name": name, "slack_configs": [{"api_url": server.url, **more}]})


def all_channels(slack: kit.SlackServer, smtp: kit.SmtpServer, hook: kit.WebhookServer) -> Receiver:
    return Receiver.model_validate(
        {
            "name": "ops",
            "slack_configs": [{"api_url": slack.url, "channel": "#ops"}],
            "email_configs": [
                {"to": "a@example.org, b@example.org", "from": "Probestream <alerts@example.org>",
                 "smarthost": smtp.smarthost, "require_tls": False}
            ],
            "webhook_configs": [{"url": hook.url, "secret": "s3cret"}],
        }
    )  # fmt: skip


async def test_each_channel_gets_one_message_for_firing_and_one_for_resolved(kafka):
    """A firing and its resolved arrive exactly once on Slack, by email and at the webhook, in that order."""
    async with kit.SlackServer() as slack, kit.SmtpServer() as smtp, kit.WebhookServer("s3cret") as hook:
        async with running(kafka, Route(receiver="ops"), all_channels(slack, smtp, hook)):
            firing = alert()
            await send(kafka, firing, alert("resolved", id=firing.id))
            steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 6)
        assert [m["attachments"][0]["title"] for m in slack.messages] == [
            "[FIRING] error-rate on shop",
            "[RESOLVED] error-rate on shop",
        ]
        assert slack.messages[0]["channel"] == "#ops"
        assert [m.message["Subject"] for m in smtp.messages] == [
            "[FIRING] error-rate on shop",
            "[RESOLVED] error-rate on shop",
        ]
        assert smtp.messages[0].to == ["a@example.org", "b@example.org"]
        assert [m["status"] for m in hook.messages] == ["firing", "resolved"]
        assert all(hook.verifies(r) for r in hook.requests)
        assert Counter(s.outcome for s in steps) == {"intent": 6, "delivered": 6}
        assert not any(s.repeat for s in steps)
        assert await dead_letters(kafka) == []


async def test_alerts_not_to_be_told_are_passed_over(kafka):
    """A transition with notify false sends nothing, and its offset is committed all the same."""
    async with kit.SlackServer() as slack:
        quiet = alert(notify=False)
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack)):
            await send(kafka, quiet)
            deadline = time.monotonic() + 10
            while sum((await committed_offsets(kafka, "slack")).values()) < 1:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
        assert slack.requests == []
        assert await ledger(kafka) == []


async def test_a_resolved_is_not_sent_where_it_is_not_wanted_or_firing_was_not_told(kafka):
    """Skips are in the ledger with their reasons: send_resolved_off, firing_not_told, no_route."""
    async with kit.SlackServer() as slack, kit.WebhookServer() as hook:
        route = Route.model_validate({"routes": [{"matchers": ['team="web"'], "receiver": "ops"}]})
        receiver = Receiver.model_validate(
            {
                "name": "ops",
                "slack_configs": [{"api_url": slack.url}],
                "webhook_configs": [{"url": hook.url, "send_resolved": False}],
            }
        )
        silenced, told, unrouted = alert(notify=False), alert(), alert(labels={"team": "db"})
        async with running(kafka, route, receiver):
            await send(kafka, silenced, told, unrouted)
            await send(kafka, alert("resolved", id=silenced.id), alert("resolved", id=told.id))
            steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 7)
        skipped = {(s.alert_id, s.channel, s.reason) for s in outcomes(steps, "skipped")}
        assert skipped == {
            (silenced.id, "slack", "firing_not_told"),
            (silenced.id, "webhook", "send_resolved_off"),
            (told.id, "webhook", "send_resolved_off"),
            (unrouted.id, "slack", "no_route"),
        }
        assert len(slack.messages) == 2
        assert len(hook.messages) == 1


async def test_a_failing_receiver_is_tried_again_and_each_attempt_is_in_the_ledger(kafka):
    """Two 503 and a lost connection, then ok: delivered at the fourth attempt, with the same idempotency key."""
    async with kit.SlackServer() as slack:
        slack.script(kit.status(503), kit.status(503), kit.rate_limited("0"))
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack)):
            await send(kafka, alert())
            steps = await ledger_until(kafka, lambda s: bool(outcomes(s)))
        assert [(s.outcome, s.reason, s.attempt) for s in steps] == [
            ("intent", "first", 1),
            ("failed", "http_503", 1),
            ("intent", "retry", 2),
            ("failed", "http_503", 2),
            ("intent", "retry", 3),
            ("failed", "http_429", 3),
            ("intent", "retry", 4),
            ("delivered", "ok", 4),
        ]
        assert len({s.idempotency_key for s in steps}) == 1
        assert len({r.headers["Idempotency-Key"] for r in slack.requests}) == 1
        assert len(slack.messages) == 1


async def test_an_answer_that_got_lost_is_counted_as_a_repeat(kafka):
    """Where the receiver took the message but its answer was lost, the second attempt says that it may be one."""
    async with kit.WebhookServer() as hook:
        hook.script(kit.DROP)
        receiver = Receiver.model_validate({"name": "ops", "webhook_configs": [{"url": hook.url}]})
        async with running(kafka, Route(receiver="ops"), receiver):
            await send(kafka, alert())
            steps = await ledger_until(kafka, lambda s: bool(outcomes(s)))
        assert [(s.outcome, s.repeat) for s in steps] == [
            ("intent", False),
            ("failed", False),
            ("intent", True),
            ("delivered", True),
        ]
        assert [r.headers["X-Probestream-Repeat"] for r in hook.requests] == ["false", "true"]
        assert len({m["probestream"]["idempotency_key"] for m in hook.messages}) == 1


async def test_retry_after_is_honoured_by_all_messages_of_the_integration(kafka):
    """After a 429 no message goes to that webhook before Retry-After is over, and another webhook is not held up."""
    async with kit.SlackServer() as busy, kit.SlackServer() as free:
        busy.script(kit.rate_limited("2"))
        receiver = Receiver.model_validate(
            {"name": "ops", "slack_configs": [{"api_url": busy.url}, {"api_url": free.url}]}
        )
        async with running(kafka, Route(receiver="ops"), receiver):
            await send(kafka, alert())
            await busy.wait_for_requests(1)
            await send(kafka, alert(target="other"))
            await free.wait_for(2, 1.5)
            await busy.wait_for(2)
        times = [r.at for r in busy.requests]
        assert len(times) == 3
        assert times[1] - times[0] >= 1.9
        assert times[2] - times[1] >= 0.9


@pytest.mark.parametrize(
    "answer", [kit.INVALID_PAYLOAD, kit.ACTION_PROHIBITED, kit.CHANNEL_NOT_FOUND, kit.CHANNEL_IS_ARCHIVED], ids=str
)
async def test_a_permanent_refusal_is_given_up_at_once(kafka, answer):
    """What trying again cannot heal is tried once, recorded with the reason, and kept as a dead letter."""
    async with kit.SlackServer(answer) as slack:
        fired = alert()
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack)):
            await send(kafka, fired)
            steps = await ledger_until(kafka, lambda s: bool(outcomes(s)))
        assert len(slack.requests) == 1
        assert [(s.outcome, s.reason) for s in outcomes(steps)] == [("given_up", f"http_{answer.status}")]
        assert steps[-1].error.startswith(answer.body)
        (letter,) = await dead_letters(kafka)
        assert (letter.hop, letter.reason, letter.key) == ("notify", f"http_{answer.status}", fired.id.encode())
        assert "ops/slack/0" in letter.error


async def test_an_alert_is_given_up_after_retry_for(kafka):
    """A receiver that stays down is tried until retry_for is over; then the alert is a dead letter."""
    async with kit.SlackServer(kit.status(500)) as slack:
        settings = DEFAULTS.model_copy(update={"retry_for": 1.0})
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack), settings=settings):
            started = time.monotonic()
            await send(kafka, alert())
            steps = await ledger_until(kafka, lambda s: bool(outcomes(s)))
        assert time.monotonic() - started >= 1.0
        assert outcomes(steps)[0].outcome == "given_up"
        assert len(slack.requests) == outcomes(steps)[0].attempt > 3
        assert len(await dead_letters(kafka)) == 1


async def test_a_hanging_receiver_delays_nobody_else(kafka):
    """While one receiver hangs on 40 alerts, each of them reaches the other one at once."""
    async with kit.SlackServer(kit.HANG) as hanging, kit.SlackServer() as fine:
        route = Route.model_validate(
            {"routes": [{"receiver": "hanging", "continue": True}, {"receiver": "fine"}], "receiver": "fine"}
        )
        async with running(kafka, route, slack_of("hanging", hanging), slack_of("fine", fine)):
            await send(kafka, *(alert(target=f"t{n}") for n in range(40)))
            await fine.wait_for(40, 4.0)
            assert len(hanging.requests) <= 2 * DEFAULTS.concurrency
        assert len(fine.messages) == 40


async def test_a_failing_alert_delays_no_other_of_its_receiver(kafka):
    """An alert that is being tried again leaves the way free for the next one, but not for its own resolved."""
    async with kit.SlackServer() as slack:
        slack.script(*[kit.status(503)] * 3)
        settings = DEFAULTS.model_copy(update={"retry_initial": 1.0, "retry_max": 1.0})
        first, second = alert(target="first"), alert(target="second")
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack), settings=settings):
            await send(kafka, first)
            await slack.wait_for_requests(1)
            slack._script.clear()
            slack.answer = kit.status(503)
            await send(kafka, alert("resolved", id=first.id, target="first"))
            await slack.wait_for_requests(2)
            assert all("FIRING" in r.json["attachments"][0]["title"] for r in slack.requests)
            slack.answer = kit.OK
            await send(kafka, second)
            await slack.wait_for(3)
        titles = [m["attachments"][0]["title"] for m in slack.messages]
        assert titles.index("[FIRING] error-rate on first") < titles.index("[RESOLVED] error-rate on first")


async def test_bytes_that_are_no_alert_become_one_dead_letter(kafka):
    """Garbage on `alerts` is kept with its reason, once however many channels read it, and the rest goes on."""
    async with kit.SlackServer() as slack, kit.WebhookServer() as hook:
        receiver = Receiver.model_validate(
            {"name": "ops", "slack_configs": [{"api_url": slack.url}], "webhook_configs": [{"url": hook.url}]}
        )
        async with running(kafka, Route(receiver="ops"), receiver):
            for n in range(4):  # both partitions
                await send(kafka, (f"k{n}".encode(), b"garbage"), (f"k{n}".encode(), b"\x00\x7f\xff\xff\xff"))
            await send(kafka, alert(), alert())
            await slack.wait_for(2)
            await hook.wait_for(2)
            await ledger_until(kafka, lambda s: len(outcomes(s)) == 4)
        assert Counter(d.reason for d in await dead_letters(kafka)) == {"not_avro": 4, "unknown_schema": 4}


async def test_routes_reach_several_receivers_each_once(kafka):
    """With `continue` an alert goes to every receiver on its way, once each."""
    async with kit.SlackServer() as team, kit.SlackServer() as boss, kit.SlackServer() as rest:
        route = Route.model_validate(
            {
                "receiver": "rest",
                "routes": [
                    {"matchers": ['severity="critical"'], "receiver": "boss", "continue": True},
                    {"matchers": ['team="web"'], "receiver": "team", "continue": True},
                    {"matchers": ["alertname=~error.*"], "receiver": "team"},
                ],
            }
        )
        receivers = (slack_of("team", team), slack_of("boss", boss), slack_of("rest", rest))
        async with running(kafka, route, *receivers):
            await send(kafka, alert(), alert(severity="warning"), alert(rule="x", labels={}, severity="info"))
            await ledger_until(kafka, lambda s: len(outcomes(s)) == 4)
        assert [len(s.messages) for s in (team, boss, rest)] == [2, 1, 1]


async def test_a_new_channel_starts_with_recent_alerts(kafka):
    """The first receiver of a channel does not get every alert that Kafka still keeps, only those of retry_for."""
    async with kit.SlackServer() as slack, kit.WebhookServer() as hook:
        settings = DEFAULTS.model_copy(update={"retry_for": 2.0})
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack), settings=settings):
            await send(kafka, alert(target="old"))
            await slack.wait_for(1)
        await asyncio.sleep(2.1)
        await send(kafka, alert(target="new"))
        both = Receiver.model_validate(
            {"name": "ops", "slack_configs": [{"api_url": slack.url}], "webhook_configs": [{"url": hook.url}]}
        )
        async with running(kafka, Route(receiver="ops"), both, settings=settings):
            await hook.wait_for(1)
            await slack.wait_for(2)
        assert [m["probestream"]["target"] for m in hook.messages] == ["new"]
        assert len(slack.messages) == 2


async def test_stopping_finishes_what_is_being_sent(kafka):
    """A stop waits for an answer that is under way, commits it, and a new start sends nothing twice."""
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
        await asyncio.wait_for(taken.wait(), 10)
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
                await slack.wait_for(10)
            await send(kafka, *(alert(target=f"b{n}") for n in range(10)))
            steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 20)
        assert len(slack.requests) == 20
        assert not any(s.repeat for s in steps)


async def test_nothing_is_lost_over_several_kills(kafka):
    """Sixty alerts, three SIGKILLs: every alert arrives, and every second copy is counted as a repeat."""
    async with kit.SlackServer(kit.Answer(delay_s=0.02)) as slack:
        settings = NotifySettings(timeout=5.0, retry_initial=0.05, retry_max=0.2, concurrency=4)
        alerts = [alert(target=f"t{n}") for n in range(60)]
        async with process(kafka, Route(receiver="ops"), slack_of("ops", slack), settings=settings) as role:
            for kill in range(3):
                await send(kafka, *alerts[kill * 20 : kill * 20 + 20])
                await slack.wait_for(len(slack.messages) + 7)
                role.kill()
                await role.gone()
                await role.start()
            steps = await ledger_until(kafka, lambda s: len(outcomes(s, "delivered")) == 60, 30)
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
                await slack.wait_for(6, 30)
                await ledger_until(kafka, lambda s: len(outcomes(s)) == 6)
                role.signal(signal.SIGCONT)
                await send(kafka, *(alert(target=f"u{n}") for n in range(6)))
                steps = await ledger_until(kafka, lambda s: len(outcomes(s)) == 12, 30)
                await asyncio.sleep(2)
        copies = Counter(r.headers["Idempotency-Key"] for r in slack.requests)
        counted = Counter(s.idempotency_key for s in steps if s.outcome == "intent" and s.repeat)
        assert len(copies) == 12
        assert {key: n - 1 for key, n in copies.items() if n - 1 > counted[key]} == {}
        first_six = [s.idempotency_key for s in steps if s.target.startswith("t")]
        assert all(copies[key] == 1 for key in first_six)


async def test_reading_waits_for_the_oldest_and_goes_on(kafka, monkeypatch):
    """With too much unfinished the partition is held, and once the receiver heals everything arrives."""
    monkeypatch.setattr("agents.notify.partition.MOST_UNFINISHED", 6)
    async with kit.SlackServer(kit.status(503)) as slack, running(kafka, Route(receiver="ops"), slack_of("ops", slack)):
        await send(kafka, *(alert(target=f"t{n}") for n in range(40)))
        await slack.wait_for_requests(10)
        slack.answer = kit.OK
        await slack.wait_for(40, 20)
        await send(kafka, alert())
        await slack.wait_for(41)


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
    await asyncio.wait_for(role, 3)


async def test_without_a_channel_the_role_waits_to_be_stopped(kafka):
    """Receivers without integrations are no error: as Alertmanager's `null` receiver."""
    async with running(kafka, Route(receiver="null"), Receiver(name="null")) as role:
        assert not role.done()
