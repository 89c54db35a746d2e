"""The notify role while receivers fail, on real Kafka, with real receivers."""

from __future__ import annotations

import time

import pytest

from agents.notify.settings import Receiver
from streams.routing import Route
from tests.kit import receivers as kit
from tests.kit.notify import (
    DEFAULTS,
    alert,
    dead_letters,
    ledger_until,
    outcomes,
    running,
    send,
    slack_of,
)


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
    """After a 429 no message goes to that webhook before Retry-After is over, and then one a second."""
    async with kit.SlackServer() as busy:
        busy.script(kit.rate_limited("2"))
        async with running(kafka, Route(receiver="ops"), slack_of("ops", busy)):
            await send(kafka, alert())
            await busy.wait_for_requests(1)
            await send(kafka, alert(target="other"))
            await busy.wait_for(2)
        times = [r.at for r in busy.requests]
        assert len(times) == 3
        # Both from the refusal on: how long a request was on its way differs from one to the next.
        assert times[1] - times[0] >= 1.9
        assert times[2] - times[0] >= 2.9


async def test_a_pause_of_one_webhook_holds_up_no_other(kafka):
    """While one webhook asked for ten minutes of rest, another one of the same receiver is told of everything."""
    async with kit.SlackServer() as busy, kit.SlackServer() as free:
        busy.script(kit.rate_limited("600"))
        receiver = Receiver.model_validate(
            {"name": "ops", "slack_configs": [{"api_url": busy.url}, {"api_url": free.url}]}
        )
        async with running(kafka, Route(receiver="ops"), receiver):
            await send(kafka, alert())
            await busy.wait_for_requests(1)
            await send(kafka, alert(target="other"))
            await free.wait_for(2)
        assert len(busy.requests) == 1


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
        settings = DEFAULTS.model_copy(update={"retry_for": 6.0})
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack), settings=settings):
            started = time.monotonic()
            await send(kafka, alert())
            steps = await ledger_until(kafka, lambda s: bool(outcomes(s)))
        assert time.monotonic() - started >= 6.0
        assert outcomes(steps)[0].outcome == "given_up"
        assert len(slack.requests) == outcomes(steps)[0].attempt > 3
        assert len(await dead_letters(kafka)) == 1


async def test_a_hanging_receiver_delays_nobody_else(kafka):
    """While one receiver hangs on 40 alerts, each of them reaches the other one."""
    async with kit.SlackServer(kit.HANG) as hanging, kit.SlackServer() as fine:
        route = Route.model_validate(
            {"routes": [{"receiver": "hanging", "continue": True}, {"receiver": "fine"}], "receiver": "fine"}
        )
        async with running(kafka, route, slack_of("hanging", hanging), slack_of("fine", fine)):
            await send(kafka, *(alert(target=f"t{n}") for n in range(40)))
            await fine.wait_for(40, DEFAULTS.timeout / 2)  # none has given up on the other yet
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
