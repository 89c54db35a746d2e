"""The notify role on real Kafka, with real receivers."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

from agents.notify.settings import Receiver
from streams.partition import partition_of
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
    running,
    send,
    slack_of,
)
from tests.kit.role import until


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

            async def passed() -> bool:
                return sum((await committed_offsets(kafka, "slack")).values()) >= 1

            await until(passed)
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

            async def reported() -> bool:
                return len(await dead_letters(kafka)) >= 8

            await until(reported)  # the alerts may lie in another partition than some of the garbage
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
    async with kit.SlackServer() as slack, kit.SmtpServer() as smtp, kit.WebhookServer("s3cret") as hook:
        short = DEFAULTS.model_copy(update={"retry_for": 1.0})
        everybody = all_channels(slack, smtp, hook)
        two = everybody.model_copy(update={"email_configs": ()})
        old = alert(target="old")
        async with running(kafka, Route(receiver="ops"), slack_of("ops", slack), settings=short):
            await send(kafka, old)
            await slack.wait_for(1)
        await asyncio.sleep(1.1)
        # In the same partition: had the webhook begun with the old one, that would be told first.
        same = (i for i in map(str, itertools.count()) if partition_of(i, 2) == partition_of(old.id, 2))
        async with running(kafka, Route(receiver="ops"), two, settings=short):
            await send(kafka, alert(target="new", id=next(same)))
            await hook.wait_for(1)
            await slack.wait_for(2)
        async with running(kafka, Route(receiver="ops"), everybody):
            await smtp.wait_for(2)
        assert [m["probestream"]["target"] for m in hook.messages] == ["new"]
        assert len(slack.messages) == 2
        assert [m.message["Subject"].split()[-1] for m in smtp.messages] == ["old", "new"]


async def test_reading_waits_for_the_oldest_and_goes_on(kafka, monkeypatch):
    """With too much unfinished the partition is held, and once the receiver heals everything arrives."""
    monkeypatch.setattr("agents.notify.partition.MOST_UNFINISHED", 6)
    async with kit.SlackServer(kit.status(503)) as slack, running(kafka, Route(receiver="ops"), slack_of("ops", slack)):
        await send(kafka, *(alert(target=f"t{n}") for n in range(40)))
        await slack.wait_for_requests(10)
        slack.answer = kit.OK
        await slack.wait_for(40)
        await send(kafka, alert())
        await slack.wait_for(41)


async def test_without_a_channel_the_role_waits_to_be_stopped(kafka):
    """Receivers without integrations are no error: as Alertmanager's `null` receiver."""
    async with running(kafka, Route(receiver="null"), Receiver(name="null")) as role:
        assert not role.done()
